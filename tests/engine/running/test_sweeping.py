"""Sweeps: the points and their order, one row a point, points that cannot be had, and which model is kept."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import keras
import pytest

from engine.errors import RecipeError
from engine.events import Finished, Noted, Progress, Result, number
from engine.recipe import Recipe
from engine.recipe_reading import recipe_from
from engine.running.control import Control
from engine.running.executing import execute
from engine.running.sweeping import _keep_best, flat, points, recipe_at, told
from engine.session import Session
from engine.yaml12 import parse

BASE = """
name: swept
data: {name: digits, limit: 256}
model: {name: mlp, hidden: [24, 16]}
train: {epochs: 6, batch_size: 32, optimizer: {name: adam, learning_rate: 0.01}}
prune:
  scope: {name: layer, skip: [output]}
  schedule: one_shot
measure: {latency: null}
"""


BOTH = {
    "prune": [{"criterion": "magnitude", "granularity": "weight"}, {"criterion": "l2_norm", "granularity": "unit"}],
    "prune.target.sparsity": [0.0, 0.5, 0.9],
}


def recipe(axes: dict[str, Any] = BOTH, **overrides: Any) -> Recipe:
    return recipe_from(parse(BASE), overrides={"prune.target.sparsity": 0.5, "sweep": axes, **overrides})


def ran(swept: Recipe, **kw: Any) -> tuple[Session, list[Any]]:
    session, events = Session(), []

    def hear(message: Any) -> None:
        nonlocal session
        session = session.apply(message)
        events.append(message)

    execute(swept, hear, control=Control(), **kw)
    return session, events


def test_points_are_all_combinations_the_first_axis_slowest() -> None:
    assert points(recipe({"seed": [1, 2], "prune.target.sparsity": [0.1, 0.2, 0.3]})) == [
        {"seed": s, "prune.target.sparsity": t} for s in (1, 2) for t in (0.1, 0.2, 0.3)
    ]


def test_a_point_is_a_recipe_without_a_sweep_that_keeps_the_rest() -> None:
    point = points(recipe())[4]
    assert flat(point) == {"criterion": "l2_norm", "granularity": "unit", "asked": 0.5}
    assert told(point) == "l2_norm, unit, 50 % asked"
    at = recipe_at(recipe(), point)
    assert not at.sweep
    assert at.prune is not None
    assert (at.prune.criterion.name, at.prune.granularity.name) == ("l2_norm", "unit")
    assert at.prune.target.get("sparsity") == 0.5
    assert at.prune.scope.get("skip") == ("output",)  # an axis over `prune` adds to what is there
    assert at.train == recipe().train


def test_a_key_that_is_not_there_is_refused_with_the_near_ones() -> None:
    with pytest.raises(RecipeError, match="sparsity"):
        recipe({"prune.target.sparsty": [0.1]})


def test_a_sweep_makes_a_row_a_point_from_one_dense_model(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    session, events = ran(recipe(), folder=folder)
    rows = session.results["sweep"]
    assert [(r["granularity"], r["asked"]) for r in rows] == [
        (g, s) for g in ("weight", "unit") for s in (0.0, 0.5, 0.9)
    ]
    assert len({r["dense"] for r in rows}) == 1  # trained once
    assert rows[0]["accuracy"] == rows[3]["accuracy"] == rows[0]["dense"]
    # 64 x 24 and 24 x 16 are cut, the 16 x 10 of the output is skipped but counts among the parameters.
    cut = 64 * 24 // 2 + 24 * 16 // 2
    assert rows[0]["parameters"] - rows[1]["parameters"] == cut
    assert rows[4]["parameters"] == 64 * 12 + 12 + 12 * 8 + 8 + 8 * 10 + 10
    told = [e.value for e in events if isinstance(e, Result) and e.name == "sweep"]
    assert [len(t) for t in told] == [1, 2, 3, 4, 5, 6]  # after each point, for the table that grows
    shares = [e.share for e in events if isinstance(e, Progress)]
    assert 0 <= min(shares) <= max(shares) <= 1
    assert events[-1] == Finished(state="done", seq=events[-1].seq, time=events[-1].time)
    kept = keras.models.load_model(folder / "model.keras", compile=False)
    assert kept.count_params() in {r["parameters"] for r in rows} | {rows[0]["parameters"]}
    assert any(isinstance(e, Noted) and e.words.startswith("kept:") for e in events)


def test_a_point_that_cannot_be_had_does_not_take_the_table_with_it() -> None:
    swept = recipe({"prune.criterion": ["l1_norm", "bn_scale"]}, **{"prune.granularity": "unit"})
    session, events = ran(swept)
    first, second = session.results["sweep"]
    assert first["accuracy"] > 0.2  # half of the units are gone, and nothing was mended
    assert second == {"criterion": "bn_scale", "state": "failed"}
    assert any("BatchNorm" in e.words for e in events if isinstance(e, Noted) and e.level == "warning")
    assert session.state == "done"


def test_a_sweep_that_was_stopped_goes_on_with_the_next_point(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    swept = recipe({"prune.target.sparsity": [0.2, 0.4, 0.6]})
    control = Control()

    def stop(message: Any) -> None:
        if isinstance(message, Result) and len(message.value) == 2:
            control.cancel()

    execute(swept, stop, folder=folder, control=control)
    session, events = ran(swept, folder=folder, resume=True)
    assert [r["asked"] for r in session.results["sweep"]] == [0.2, 0.4, 0.6]
    assert session.state == "done"
    assert sum(isinstance(e, Result) and e.name == "sweep" for e in events) == 1  # only the third was left


def test_columns_of_keys_that_end_alike_are_told_apart() -> None:
    point = {"prune.criterion.name": "snip", "prune.scope.name": "erk", "train.epochs": 1, "prune.schedule.epochs": 2}
    assert list(flat(point)) == ["criterion.name", "scope.name", "train.epochs", "schedule.epochs"]
    assert flat({"seed": 1, "train.epochs": 3}) == {"seed": 1, "epochs": 3}


@pytest.mark.parametrize("order", [(math.nan, 0.3), (0.3, math.nan)])
def test_a_point_that_diverged_is_not_the_best(order: tuple[float, float]) -> None:
    taken: list[Any] = []
    run: Any = SimpleNamespace(recipe=recipe({"seed": [0, 1]}), memory={}, take=taken.append, stage=0)
    for stage, value in enumerate(order):
        run.stage = stage
        session = Session(dense={"validation": 0.9}, pruned={"validation": number(value)})
        _keep_best(run, cast("Any", SimpleNamespace(model=value)), session)
    assert taken[-1] == 0.3


def test_a_point_without_the_pattern_keeps_the_target() -> None:
    text = "name: both\ndata: digits\nmodel: mlp\nprune: {granularity: '2:4', target: {sparsity: 0.5}}\n"
    text += "sweep: {prune.granularity: ['2:4', weight]}\n"
    whole = recipe_from(parse(text))
    asked = [recipe_at(whole, point).prune for point in points(whole)]
    assert [p.target.get("sparsity") for p in asked if p is not None] == [0.5, 0.5]
