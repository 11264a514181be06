from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import Result
from engine.session import Session
from tui.paint import figures, sweep
from tui.paint.lines import length, plain

ROWS = [
    {"criterion": c, "granularity": g, "asked": asked, "sparsity": asked, "validation": 0.9, "dense": 0.96,
     "accuracy": score, "loss": 0.2, "bytes": 40_000, "speed-up at 64": 1.5, "scipy ms": 0.1}
    for c, g, scores in (("magnitude", "weight", (0.95, 0.94, 0.8)), ("l2_norm", "unit", (0.95, 0.7, 0.1)))
    for asked, score in zip((0.0, 0.5, 0.9), scores, strict=True)
]  # fmt: skip


def text(lines) -> list[str]:
    return [plain(one).rstrip() for one in lines]


def test_the_table_has_a_row_for_each_percentile_and_a_column_for_each_kind() -> None:
    head, names, *rows, left_out = text(sweep.table(ROWS, "accuracy", 66))
    assert head.split() == ["accuracy", "packed", "speed-up", "at", "64"]
    assert names.split() == ["asked", *3 * ["●", "weight", "■", "unit"]]
    assert [row.split()[:4] for row in rows] == [
        ["0", "%", ".950", ".950"], ["50", "%", ".940", ".700"], ["90", "%", ".800", ".100"],
    ]  # fmt: skip
    assert "scipy ms" in left_out


def test_a_point_that_failed_and_one_that_is_still_to_come() -> None:
    failed = {"criterion": "l2_norm", "granularity": "unit", "asked": 0.9, "state": "failed"}
    rows = text(sweep.table([*ROWS[:-1], failed], "accuracy", 30))
    assert rows[4].split() == ["90", "%", ".800", "failed"]
    assert text(sweep.table(ROWS[:4], "accuracy", 30))[4].split() == ["90", "%", ".800"]


def test_the_chart_draws_kinds_apart_also_where_they_meet() -> None:
    legend, *grid, foot = text(sweep.chart(ROWS, "accuracy", 40, 10))
    assert legend.split() == ["●", "weight", "■", "unit", "┄", "dense", ".960"]
    assert "●■" in grid[0]  # the same accuracy at 0 %: beside each other
    assert grid[-1].lstrip().startswith(".100") and "■" in grid[-1]  # noqa: PT018 - one line of the picture
    assert foot.split() == ["0", "50", "90", "%"]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.sampled_from([0.0, 0.5, None, "nan", "inf"]), min_size=1, max_size=8), st.integers(1, 120),
    st.integers(1, 30),
)  # fmt: skip
def test_it_fits_whatever_it_is_given(scores, width, height) -> None:
    rows = [{"seed": at, "sparsity": 0.5, "accuracy": score, "dense": "nan"} for at, score in enumerate(scores)]
    assert all(length(one) <= max(width, 24) for one in sweep.chart(rows, "accuracy", width, height))
    assert len(sweep.table(rows, "accuracy", width)) >= 2 + len(rows)


def test_the_figures_of_a_sweep_are_those_of_its_newest_point() -> None:
    session = Session().apply(Result(name="sweep", value=ROWS))
    sparsity, accuracy, size, speed = figures.figures(session)
    assert (sparsity.kind, sparsity.value, sparsity.below) == ("unit", "90.0 %", "of 90 %")
    assert (accuracy.value, accuracy.below, accuracy.more) == (".100", "-.860", "dense .960")
    assert (size.value, speed.value) == ("40 kB", "1.5x")
