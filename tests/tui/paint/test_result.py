from __future__ import annotations

import pytest

from engine.session import Session
from tui.paint.lines import length, plain
from tui.paint.result import paint

COMPARISON = {
    "agreement": 0.95,
    "accuracy": {"difference": -0.03, "low": -0.05, "high": -0.01, "samples": 360},
    "classes": [
        {"label": 0, "recall": {"difference": 0.02}},
        {"label": 7, "recall": {"difference": -0.2}},
        {"label": 3, "recall": {"difference": -0.1}},
    ],
}


@pytest.mark.parametrize("width", [44, 60, 110])
def test_the_interval_and_who_paid_are_said_worst_first(width: int) -> None:
    session = Session(state="done", pruned={"metric": {"value": 0.9}, "comparison": COMPARISON})
    rows = paint(session, width)
    text = " ".join(" ".join(map(plain, rows)).split())
    assert "between -.050 and -.010, with 95 % confidence (360 test inputs)" in text
    assert "who paid: class 7 -.200, class 3 -.100" in text
    assert "class 0" not in text
    assert all(length(row) <= width for row in rows)


@pytest.mark.parametrize("accuracy", [None, {"low": "nan", "high": 1.0}, {}])
def test_without_an_interval_nothing_is_said(accuracy: object) -> None:
    session = Session(state="done", pruned={"metric": {"value": 0.9}, "comparison": {"accuracy": accuracy}})
    assert "confidence" not in " ".join(map(plain, paint(session, 80)))


def test_a_speed_up_comes_with_its_interval_where_there_is_room() -> None:
    times = [{"batch_size": 1, "median": 0.53, "speedup": 1.02, "speedup_low": 0.89, "speedup_high": 1.38}]
    session = Session(state="done", pruned={"metric": {"value": 0.9}, "latency": times})
    assert any("0.530 ms" in row and "1.0x speed (0.9-1.4)" in row for row in map(plain, paint(session, 63)))
    narrow = [row for row in map(plain, paint(session, 44)) if "batch 1" in row]
    assert narrow[0].rstrip().endswith("1.0x")


def test_the_numbers_of_a_row_never_touch() -> None:
    times = [{"batch_size": 64, "median": 123.4, "speedup": 10.25, "speedup_low": 10.89, "speedup_high": 11.38}]
    session = Session(state="done", pruned={"metric": {"value": 0.9}, "latency": times})
    for width in range(44, 100):
        (row,) = [text for text in map(plain, paint(session, width)) if "batch 64" in text]
        assert length(((row, ""),)) <= width
        assert " 10.2x" in row
