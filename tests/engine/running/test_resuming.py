"""Killed at a checkpoint and resumed: the same weights as never killed, where a schedule meets the end of an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.events import EpochEnded
from engine.keys import variable_keys
from engine.recipe import Recipe
from engine.recipe_reading import recipe_from
from engine.running.context import Run
from engine.running.executing import execute
from engine.yaml12 import parse

EPOCH = 8  # steps: 256 examples in batches of 32
BASE = """
name: resumed
data: {name: digits, limit: 256}
model: {name: mlp, hidden: [16], activation: tanh}
train: {epochs: 3, batch_size: 32, optimizer: {name: adam, learning_rate: 0.01}}
prune: {target: {sparsity: 0.8}}
measure: {latency: null, dense_control: false}
"""


def recipe(**overrides: Any) -> Recipe:
    return recipe_from(parse(BASE), overrides=overrides)


def killed_after(save: int, made: Recipe, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs until a checkpoint has been written, and not one line further."""
    count, plain = 0, Run.save

    def saving(run: Run) -> None:
        nonlocal count
        plain(run)
        count += 1
        if count == save:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", saving)
        with pytest.raises(KeyboardInterrupt):
            execute(made, lambda _: None, folder=folder)


def weights(run: Run) -> list[Any]:
    return [v.numpy() for v in run.model.weights]


@pytest.mark.parametrize(
    "schedule",
    [
        {"name": "cubic", "begin": EPOCH, "end": 2 * EPOCH, "frequency": 4},
        {"name": "drop_grow", "frequency": EPOCH, "end": 3 * EPOCH},
    ],
)
def test_masks_that_change_between_two_epochs_change_after_a_resume(
    schedule: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe(**{"prune.schedule": schedule})
    straight = execute(made, lambda _: None)
    killed_after(3, made, tmp_path, monkeypatch)  # at the start, after epoch 1, after epoch 2
    resumed = execute(made, lambda _: None, folder=tmp_path, resume=True)
    assert all(np.array_equal(a, b) for a, b in zip(weights(straight), weights(resumed), strict=True))


def test_a_phase_that_had_stopped_early_does_not_train_on_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At learning rate 0 nothing gets better: the second epoch is the last.
    made = recipe(
        **{
            "train.patience": 1,
            "train.epochs": 5,
            "train.optimizer.learning_rate": 0.0,
            "prune.schedule": "one_shot",
            "seed": 3,
        }
    )
    monkeypatch.setenv("PRUNE_TUI_CACHE", str(tmp_path / "cache"))
    killed_after(3, made, tmp_path, monkeypatch)
    told: list[Any] = []
    execute(made, told.append, folder=tmp_path, resume=True)
    assert not [e for e in told if isinstance(e, EpochEnded)]


@pytest.mark.parametrize(
    "settings",
    [
        {"prune.granularity": "unit", "prune.criterion": "l2_norm"},
        {"prune.scope": {"name": "global", "skip": ["output"]}},
    ],
)
def test_zeros_hold_in_every_epoch_of_a_schedule_that_begins_late(settings: dict[str, Any]) -> None:
    found: list[int] = []

    class Watched(Run):
        def validate(self) -> tuple[float, float]:
            values = variable_keys(self.model)
            masks = self.mask_arrays()
            found.append(sum(int(np.count_nonzero(values[k].numpy()[~mask])) for k, mask in masks.items()))
            assert any((~mask).any() for mask in masks.values()) or len(found) == 1
            return super().validate()

    made = recipe(**{"prune.schedule": {"name": "cubic", "begin": 3, "end": 10, "frequency": 4}, **settings})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.running.context.Run", Watched)
        execute(made, lambda _: None)
    assert found
    assert not any(found)
