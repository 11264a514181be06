"""Units that go physically between rounds: where that pays, and without any change to what is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.events import EpochEnded, MasksChanged, Progress, Surgery
from engine.recipe_reading import recipe_from
from engine.running import units
from engine.running.executing import execute
from engine.session import Session
from engine.surgery import remove
from engine.surgery import shrink_with_report as everything
from engine.yaml12 import parse

RECIPE = """
name: rounds
data: {name: digits, limit: 128}
model: {name: mlp, hidden: [10, 30]}
train: {epochs: 1, batch_size: 32}
prune: {criterion: l2_norm, granularity: unit, scope: layer, target: {sparsity: 0.9},
        schedule: {name: iterative, rounds: 2, rewind: none, epochs: 1}}
measure: {latency: null, dense_control: false}
"""
ALWAYS, NEVER = 0.0, 1e9  # what a compilation costs


class Told:
    """What a run told, and what it left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, compiling: float, **settings: Any) -> None:
        self.session, self.events = Session(), list[Any]()
        monkeypatch.setattr(units, "COMPILE_SECONDS", compiling)
        self.model = execute(recipe_from(parse(RECIPE), overrides=settings), self._hear).model

    def _hear(self, event: Any) -> None:
        self.session = self.session.apply(event)
        if not isinstance(event, Progress):
            self.events.append(event)

    @property
    def kept(self) -> list[list[int]]:
        """Units left in each layer after every change of masks."""
        return [[row.units_kept for row in e.layers] for e in self.events if isinstance(e, MasksChanged)]

    @property
    def words(self) -> list[str]:
        return [line.words for line in self.session.log]

    @property
    def got_smaller(self) -> bool:
        return any("physically smaller" in words for words in self.words)


@pytest.mark.parametrize(
    ("settings", "rounds"),
    [
        ({}, [[4, 10, 10], [1, 3, 10]]),  # 10 and 30, sqrt(0.1) of them, a tenth of them
        ({"prune.scope": {"name": "layer", "per_layer": {"dense_1": 0.5}}}, [[5, 10, 10], [5, 3, 10]]),
        ({"prune.scope": {"name": "layer", "skip": ["dense_1"]}}, [[10, 10, 10], [10, 3, 10]]),
        (
            {"prune.schedule": {"name": "iterative", "share": 0.5, "rewind": "none", "epochs": 1},
             "prune.scope": {"name": "layer", "per_layer": {"dense_1": 0.2}}, "prune.target": {"sparsity": 0.75}},
            [[8, 15, 10], [8, 8, 10]],
        ),
    ],
)  # fmt: skip
def test_removal_changes_nothing_of_what_is_chosen(
    settings: dict[str, Any], rounds: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = Told(monkeypatch, compiling=NEVER, **settings)
    smaller = Told(monkeypatch, compiling=ALWAYS, **settings)
    assert masked.kept == smaller.kept == rounds
    assert smaller.got_smaller
    assert not masked.got_smaller
    ours = [e.after for e in masked.session.prunes]
    assert [e.after for e in smaller.session.prunes] == ours
    assert smaller.session.counts.units_kept == masked.session.counts.units_kept
    assert smaller.session.counts.parameters_kept == smaller.model.count_params()


def test_over_the_whole_network_the_count_is_the_dense_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"prune.scope": "global", "prune.target.sparsity": 0.6}
    for compiling in (NEVER, ALWAYS):
        told = Told(monkeypatch, compiling=compiling, **settings)
        assert [sum(row[:2]) for row in told.kept] == [40 - 14, 40 - 24]  # 1 - sqrt(0.4) of 40, then 0.6
        assert told.session.counts.units_kept == 40 - 24


def test_what_surgery_cannot_take_stays_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    def but_one(model: Any) -> Any:
        removed = everything(model).report.removed
        return remove(model, {key: gone[1:] for key, gone in removed.items()})

    monkeypatch.setattr(units, "shrink_with_report", but_one)
    told = Told(monkeypatch, compiling=ALWAYS)
    assert told.kept[-1] == [1, 3, 10]
    kernel = np.asarray(told.model.get_layer("dense_2").kernel)
    assert (np.abs(kernel).sum(axis=0) > 0).sum() == 3 < kernel.shape[1]
    assert told.session.counts.units_kept == 4


def test_after_a_kill_the_units_still_have_their_first_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "COMPILE_SECONDS", ALWAYS)
    made = recipe_from(parse(RECIPE), overrides={"prune.schedule.epochs": 2})
    straight: list[Any] = []
    whole = execute(made, straight.append)

    def killed(event: Any) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 3:  # the dense one, and the first round's two
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(made, killed, folder=tmp_path)
    told: list[Any] = []
    again = execute(made, told.append, folder=tmp_path, resume=True)
    kept = [[row.units_kept for row in e.layers] for e in (*straight, *told) if isinstance(e, MasksChanged)]
    assert kept == [[4, 10, 10], [1, 3, 10], [1, 3, 10]]
    for a, b in zip(whole.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_where_a_compilation_is_due_anyway_units_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = {"name": "iterative", "rounds": 1, "rewind": "none", "epochs": 1}
    told = Told(monkeypatch, compiling=units.COMPILE_SECONDS, **{"prune.schedule": schedule})
    smaller = next(i for i, w in enumerate(told.words) if "physically smaller" in w)
    # Before the round's epochs, not at the end.
    assert smaller < told.words.index("training", told.words.index("round 1 of 1"))
    assert told.session.counts.parameters_kept == told.model.count_params()


def test_units_pruned_in_rounds_are_told_beside_the_dense_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made smaller between rounds, in several steps: the report begins at the dense sizes all the same."""
    told = Told(monkeypatch, compiling=1e-9, **{"prune.schedule.rounds": 3})
    surgeries = [e for e in told.events if isinstance(e, Surgery)]
    assert len(surgeries) >= 3
    dense = 64 * 10 + 10 + 10 * 30 + 30 + 30 * 10 + 10
    assert {e.before["parameters"] for e in surgeries} == {dense}
    assert [row["units_before"] for row in surgeries[-1].rows] == [10, 30, 10]
    left = [e.after["parameters"] for e in surgeries]
    assert left == sorted(left, reverse=True)
    assert left[-1] < dense / 2
