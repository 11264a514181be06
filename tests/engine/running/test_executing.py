"""Recipes carried out with the real engine, on a few hundred digits and networks of a handful of units."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from engine.errors import PruneError
from engine.events import EpochEnded, Finished, MasksChanged, Progress
from engine.keys import variable_keys
from engine.layout import kernels
from engine.recipe import Recipe
from engine.recipe_reading import recipe_from
from engine.running.control import Control
from engine.running.executing import execute
from engine.session import Session
from engine.yaml12 import parse

SMALL = """
name: small
data: {name: digits, limit: 256}
model: {name: mlp, hidden: [24, 16]}
train: {epochs: 4, batch_size: 32, optimizer: {name: adam, learning_rate: 0.01}}
prune:
  criterion: magnitude
  schedule: {name: cubic, begin: 0.1, end: 0.75, frequency: 5}
  target: {sparsity: 0.8}
  repair: {name: fine_tune, epochs: 2}
measure: {latency: null}
"""
WEIGHTS = 64 * 24 + 24 * 16 + 16 * 10


def recipe(**overrides: Any) -> Recipe:
    return recipe_from(parse(SMALL), overrides=overrides)


class Story:
    """Folds what a run tells, as the runner does; `until` may end it like a kill."""

    def __init__(self, until: Callable[[Any], bool] = lambda _: False) -> None:
        self.session, self.events, self.until = Session(), list[Any](), until

    def __call__(self, message: Any) -> None:
        self.session = self.session.apply(message)
        if not isinstance(message, Progress):
            self.events.append(message)
        if self.until(message):
            raise KeyboardInterrupt


def weights(model: keras.Model) -> dict[str, np.ndarray[Any, Any]]:
    return {k: v.numpy() for k, v in variable_keys(model).items()}


def same(a: keras.Model, b: keras.Model) -> bool:
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)


def test_a_gradual_run_reaches_its_target_exactly_and_its_model_loads(tmp_path: Path) -> None:
    story = Story()
    run = execute(recipe(**{"measure.latency": {"batch_sizes": [1], "repeats": 3}}), story, folder=tmp_path)
    session = story.session
    assert session.state == "done"
    assert session.pruned["latency"][0]["speedup"] > 0
    assert any("single zeros make the file smaller" in line.words for line in session.log)
    kept = sum(int(np.count_nonzero(k.variable.numpy())) for k in kernels(run.model).values())
    assert kept == WEIGHTS - WEIGHTS * 8 // 10 == session.counts.weights_kept
    assert [e.epoch for e in session.control] == [1, 2, 3, 4]
    assert [e.epoch for e in session.epochs] == [1, 2, 3, 4, 5, 6]
    changes = [e.after for e in story.events if isinstance(e, MasksChanged)]
    assert changes == sorted(changes)
    assert session.pruned["metric"]["name"] == "accuracy"
    assert session.dense["metric"]["value"] > 0.5
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert same(loaded, run.model)
    session.save(tmp_path / "session.yaml")
    assert Session.load(tmp_path).pruned == session.pruned


def test_the_same_recipe_gives_the_same_weights(tmp_path: Path) -> None:
    first = execute(recipe(), Story())
    assert same(first.model, execute(recipe(), Story(), folder=tmp_path).model)
    assert not same(first.model, execute(recipe(seed=1), Story()).model)


@pytest.mark.parametrize(
    ("schedule", "epoch"),
    [("cubic", 2), ("cubic", 5), ("iterative", 6), ("drop_grow", 3), ("one_shot", 5), ("at_init", 2)],
)
def test_killed_and_resumed_equals_not_killed(tmp_path: Path, schedule: str, epoch: int) -> None:
    made = recipe(**{"prune.schedule": {"name": schedule}, "train.optimizer.weight_decay": 0.01})
    if schedule == "iterative":
        made = recipe(**{"prune.schedule": {"name": "iterative", "rounds": 2, "epochs": 2}})
    whole = Story()
    straight = execute(made, whole)

    def reached(message: Any) -> bool:
        # The row is told before its checkpoint is written: a kill right there loses the epoch, and resuming redoes it.
        return isinstance(message, EpochEnded) and not message.control and message.epoch == epoch

    killed = Story(until=reached)
    with pytest.raises(KeyboardInterrupt):
        execute(made, killed, folder=tmp_path)
    again = Story()
    resumed = execute(made, again, folder=tmp_path, resume=True)
    assert same(straight.model, resumed.model)
    expected = [(e.epoch, e.validation, e.sparsity) for e in whole.session.epochs]
    told = [(e.epoch, e.validation, e.sparsity) for e in again.session.epochs]
    assert told == expected[-len(told) :]
    assert 0 < len(told) < len(expected)


def test_cancel_is_heard_and_what_there_is_is_saved(tmp_path: Path) -> None:
    control = Control()

    def stop(message: Any) -> bool:
        if isinstance(message, EpochEnded) and not message.control and message.epoch == 2:
            control.cancel()
        return False

    story = Story(until=stop)
    execute(recipe(), story, folder=tmp_path, control=control)
    assert story.session.state == "stopped"
    assert len(story.session.epochs) == 2
    assert keras.models.load_model(tmp_path / "model.keras", compile=False).count_params() == WEIGHTS + 50


def test_a_dense_model_is_trained_once_and_shared(tmp_path: Path) -> None:
    first, second = Story(), Story()
    execute(recipe(seed=7), first)
    execute(recipe(seed=7, **{"prune.criterion": "random"}), second)
    assert not first.session.cached_dense
    assert second.session.cached_dense
    rows = [(e.epoch, e.loss, e.validation) for e in first.session.control]
    assert [(e.epoch, e.loss, e.validation) for e in second.session.control] == rows


def test_what_cannot_be_carried_out_fails_with_what_where_and_what_to_do() -> None:
    story = Story()
    with pytest.raises(PruneError):
        execute(recipe(data={"npz": "missing.npz"}), story)
    last = story.events[-1]
    assert isinstance(last, Finished)
    assert last.state == "failed"
    assert "missing.npz" in last.words + last.where


def test_an_emptied_layer_is_warned_about() -> None:
    story = Story()
    scope = {"name": "global", "per_layer": {"output*": 1.0}}
    settings = {"prune.schedule": "one_shot", "prune.repair": "none", "prune.scope": scope}
    execute(recipe(**settings), story)
    assert any("output/kernel is empty" in w for w in story.session.warnings)


@pytest.mark.parametrize("control", ["shuffle", "reinitialise"])
def test_controls_at_initialisation_keep_each_layers_density(control: str) -> None:
    plain, story = Story(), Story()
    settings = {"prune.criterion": "snip", "prune.repair": "none", "train.epochs": 1, "measure.dense_control": False}
    execute(recipe(**settings, **{"prune.schedule": "at_init"}), plain)
    run = execute(recipe(**settings, **{"prune.schedule": {"name": "at_init", "control": control}}), story)
    assert [r.kept for r in story.session.layers] == [r.kept for r in plain.session.layers]
    assert 1 - story.session.counts.weight_sparsity == pytest.approx(0.2, abs=1 / WEIGHTS)
    assert all(np.count_nonzero(k.variable.numpy()) for k in kernels(run.model).values())


def test_training_nothing_measures_the_model_as_it_is() -> None:
    story = Story()
    settings = {"train.epochs": 0, "prune.schedule": "one_shot", "prune.target.sparsity": 0.0, "prune.repair": "none"}
    run = execute(recipe(**settings), story)
    assert story.session.epochs == ()
    assert same(run.model, run.dense)


def test_a_repair_with_patience_never_leaves_less_than_it_found() -> None:
    spoils = {"name": "fine_tune", "epochs": 3, "learning_rate": 50.0, "patience": 3}
    story = Story()
    run = execute(recipe(**{"prune.schedule": "one_shot", "prune.target.sparsity": 0.3, "prune.repair": spoils}), story)
    before = story.session.before_recovery["validation"]
    assert [e.validation < before for e in story.session.epochs[-3:]] == [True] * 3
    assert run.validate()[1] == before
