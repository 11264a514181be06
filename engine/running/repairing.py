"""Repairs as stages: what follows pruning, in the order of the recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from engine.errors import PruneError
from engine.recipe import Part
from engine.registry import make
from engine.running.context import Run
from engine.running.training import train


def repair(part: Part, index: int) -> Callable[[Run], None]:
    """The stage of one repair.

    Args:
        part: from the recipe.
        index: its place there, which seeds its data order.
    """
    return lambda run: _REPAIRS[part.name](run, part, index)


def _fine_tune(run: Run, part: Part, index: int) -> None:
    settings = make("repair", "fine_tune", part.params)
    rate = run.recipe.train.optimizer.get("learning_rate")
    train(
        run, phase="recovering", epochs=settings.epochs, tag=f"fine_tune {index}",
        rate=settings.rate(float(rate)), patience=settings.patience, extra_loss=_distillation(run, settings),
    )  # fmt: skip


def _distillation(run: Run, settings: Any) -> Any:
    if not settings.distillation:
        return None
    from engine.repairs.fine_tune import soft_cross_entropy

    logits = run.task.logits
    if run.dense is None or logits is None:
        raise PruneError(
            "distillation needs a dense model that tells classes apart",
            where="prune.repair.distillation",
            todo="Leave distillation at 0 for this model",
        )

    def soft(x: Any, _y: Any, outputs: Any) -> Any:
        teacher = keras.ops.stop_gradient(run.dense(x, training=False))
        losses = soft_cross_entropy(logits(teacher), logits(outputs), temperature=settings.temperature)
        return settings.distillation * keras.ops.mean(losses)

    return soft


def _recalibrate(run: Run, part: Part, _index: int) -> None:
    from engine.repairs.recalibrate import recalibrate

    run.begin("recovering", "recalibrating BatchNorm")
    count = int(part.get("batches")) * int(part.get("batch_size"))
    rows = np.random.default_rng(run.seed("recalibrate")).permutation(len(run.data.x_train))[:count]
    recalibrate(run.model, run.data.x_train[rows], batches=part.get("batches"), batch_size=part.get("batch_size"))
    if run.masks is not None:
        run.masks.apply()
    _tell(run, "BatchNorm recalibrated")


def _rewind(run: Run, _part: Part, _index: int) -> None:
    run.set_weights(run.fresh_values())
    _tell(run, "rewound to the initial weights")


def _interpolate(run: Run, part: Part, _index: int) -> None:
    from engine.running.units import interpolate_units

    run.begin("recovering", "interpolating removed units from those that are left")
    interpolate_units(run, samples=int(part.get("samples")))
    _tell(run, "interpolated")


def _tell(run: Run, words: str) -> None:
    loss, metric = run.validate()
    run.note(f"{words}: validation {run.task.metric.name} {metric:.4f}, loss {loss:.4f}")


_REPAIRS: dict[str, Callable[[Run, Part, int], None]] = {
    "fine_tune": _fine_tune,
    "recalibrate": _recalibrate,
    "rewind": _rewind,
    "interpolate": _interpolate,
    "none": lambda run, part, index: None,
}
