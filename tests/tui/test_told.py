"""What `show` prints of a session, and what `run` prints while it goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from engine.events import (
    Counts,
    Decided,
    EpochEnded,
    Finished,
    LayerState,
    MasksChanged,
    Message,
    Noted,
    PhaseBegan,
    Progress,
    Started,
)
from engine.session import Session
from tui.cli import main
from tui.commands.following import follow

RECALL = {"before": 1.0, "low": -0.3, "high": 0.1, "samples": 30}
CLASSES = [{"label": n, "recall": {**RECALL, "after": 1 - n / 100, "difference": -n / 100}} for n in range(13)]
COMPARISON = {
    "agreement": 0.955,
    "accuracy": {"difference": -0.03, "low": -0.05, "high": -0.01, "samples": 360},
    "classes": CLASSES,
}


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def shown(session: Session, folder: Path) -> str:
    session.save(folder / "session.yaml")
    result = CliRunner().invoke(main, ["show", str(folder)])
    assert result.exit_code == 0, result.output
    return result.output


def test_who_paid_is_shown_worst_first_and_how_sure_it_is(tmp_path: Path) -> None:
    session = Session(state="done", pruned={"metric": {"value": 0.9}, "comparison": COMPARISON})
    told = shown(session, tmp_path)
    assert "the change is between -0.0500 and -0.0100, with 95 % confidence" in told
    assert "both models answer the same for 95.5% of them" in told
    rows = [row.split() for row in told.splitlines()]
    start = next(i for i, row in enumerate(rows) if row[:1] == ["class"])
    assert [row[0] for row in rows[start + 1 : start + 11]] == [str(n) for n in range(12, 2, -1)]
    assert rows[start + 1] == ["12", "1.0000", "0.8800", "-0.1200", "-0.300", "to", "+0.100", "30"]
    assert "3 more classes are in the YAML" in told


def test_without_a_comparison_nothing_is_said_of_it(tmp_path: Path) -> None:
    told = shown(Session(state="done", pruned={"comparison": None}), tmp_path)
    assert "confidence" not in told
    assert "class" not in told


def test_a_table_fits_and_says_once_what_is_the_same_in_every_row(tmp_path: Path) -> None:
    rows = [
        {"sparsity": s, "cost": s / 2, "size": s / 2, "within": s < 0.6, "objective": "size", "tried": True}
        for s in (0.5, 0.625)
    ]
    told = shown(Session(state="done", results={"search": rows}), tmp_path)
    assert "search, objective size, tried yes" in told
    table = [row.split() for row in told.splitlines()]
    assert ["sparsity", "cost", "within"] in table
    assert ["0.625", "0.3125", "no"] in table


def test_what_is_too_wide_goes_on_below_and_no_value_is_cut(tmp_path: Path) -> None:
    names = ("asked", "seed", "sparsity", "validation", "accuracy", "loss", "parameters", "ms_at_1", "speed-up_at_64")
    rows = [{name: n + i / 1000 + 0.0001 for i, name in enumerate(names)} for n in (0.5, 0.7)]
    lines = shown(Session(state="done", results={"sweep": rows}), tmp_path).splitlines()
    assert all(len(line) <= 80 for line in lines if "/" not in line)
    for row in rows:
        asked, *others = (f"{value:.4g}" for value in row.values())
        parts = [line.split() for line in lines if line.split()[:2] == [asked, others[0]]]
        assert len(parts) == 2
        assert parts[0][1:] + parts[1][2:] == others


def test_the_table_of_a_sensitivity_analysis_is_shown(tmp_path: Path) -> None:
    table = {"dense_1/kernel": {"0": 0.97, "0.5": 0.9, "0.99": "nan"}}
    value = {"metric": "accuracy", "dense": 0.97, "sparsities": [0.0, 0.5, 0.99], "table": table}
    session = Session(state="done", results={"sensitivity": value}, files={"shares.yaml": "a recipe"})
    told = shown(session, tmp_path)
    rows = [row.split() for row in told.splitlines()]
    assert ["layer", "0%", "50%", "99%"] in rows
    assert ["dense_1/kernel", "0.970", "0.900"] in rows
    assert f"{tmp_path / 'shares.yaml'}   a recipe" in told


def test_square_brackets_are_words(tmp_path: Path) -> None:
    session = Session(state="failed", words="Install prune-tui[onnx]", results={"rows": [{"why": "[onnx]"}]})
    told = shown(session, tmp_path)
    assert "prune-tui[onnx]" in told
    assert told.count("[onnx]") == 2


async def messages(*given: Message) -> AsyncIterator[Message]:
    for message in given:
        yield message


def masks(words: str) -> MasksChanged:
    layers = (LayerState(key="a/kernel", shape=(2, 2), weights=4, kept=2),)
    return MasksChanged(epoch=1, step=1, before=0.0, after=0.5, words=words, layers=layers, counts=Counts())


async def test_what_a_trial_does_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    trial = "trial 1: 50.00% of the weights"
    last = await follow(
        messages(
            PhaseBegan(phase="pruning", words=trial),
            masks(trial),
            Progress(phase="pruning"),
            Decided(epoch=1, layer="", kind="weights", words=f"{trial} gone: within", verdict="accepted"),
            PhaseBegan(phase="measuring", words="measuring accuracy"),
            Finished(state="done"),
        )
    )
    assert last is not None
    assert capsys.readouterr().out.splitlines() == [
        f"pruning: {trial}",
        f"  {trial} gone: within",
        "measuring accuracy",
        "done",
    ]


async def test_a_run_that_goes_on_does_not_say_again_what_it_said(capsys: pytest.CaptureFixture[str]) -> None:
    begun = Started(seq=1, run="r", recipe={}, environment={})
    before = (begun, Noted(seq=2, words="an old word"), Finished(seq=3, state="failed", words="killed"))
    after = (
        replace(begun, seq=4, resumed_after=2),
        EpochEnded(seq=5, epoch=3, phase="pruning", loss=0.1, metric=0.9, validation=0.8),
        Finished(seq=6, state="done"),
    )
    last = await follow(messages(*before, *after), told=3)
    assert last is not None
    assert last.state == "done"
    first, epoch, end = capsys.readouterr().out.splitlines()
    assert (first, end) == ("resumed from the last checkpoint", "done")
    assert epoch.startswith("  epoch   3")
