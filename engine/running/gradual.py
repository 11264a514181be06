"""Pruning while training: masks that grow along a schedule, or that drop and grow."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from engine.layout import kernels
from engine.registry import make
from engine.running import tracking
from engine.running.aims import target_sparsity
from engine.running.choosing import masks_at
from engine.running.context import Run
from engine.running.dense import TAG
from engine.running.training import train
from engine.surgery import layer_units, unit_masks

Array = np.ndarray[Any, Any]


class Gradual:
    """A hook that raises the sparsity at the schedule's steps (Zhu & Gupta 2017), the last one included."""

    def __init__(self, run: Run, *, total: int) -> None:
        prune = run.recipe.prune
        assert prune is not None
        self.run, self.target = run, target_sparsity(prune.target)
        self.schedule = make("schedule", "cubic", prune.schedule.params)
        self.track = tracking.Movement(run) if tracking.wanted(run) else None
        self.total = total

    def steps(self) -> Iterable[int]:
        """When masks change."""
        events: Iterable[int] = self.schedule.events(self.total)
        return events

    def act(self, step: int) -> None:
        """Prunes to the sparsity of this step."""
        sparsity = self.schedule.sparsity(step, self.total, self.target)
        found = self.track.scores() if self.track is not None else None
        masks = masks_at(self.run, sparsity, seed=self.run.seed("score"), found=found)
        self.run.change_masks(masks, step=step, target=sparsity)


def train_gradually(run: Run) -> None:
    """Trains from scratch while sparsity rises."""
    total = _steps(run)
    if run.done == 0:
        run.set_masks(_whole(run))
    hook = Gradual(run, total=total)
    train(run, phase="pruning", epochs=run.recipe.train.epochs, tag=TAG, hook=hook, track=hook.track)


def _whole(run: Run) -> dict[str, Array]:
    """Masks that keep everything, on all that will ever be masked, so that the steps are traced once."""
    if not run.by_units:
        return {key: np.ones(kernel.shape, bool) for key, kernel in kernels(run.model).items()}
    every = {key: np.ones(layer.units, bool) for key, layer in layer_units(run.model).items()}
    masks: dict[str, Array] = unit_masks(run.model, every)
    return masks


class DropGrow:
    """A hook that moves the weakest weights to better places (SET, RigL); density stays what it was."""

    def __init__(self, run: Run, *, total: int) -> None:
        prune = run.recipe.prune
        assert prune is not None
        self.run, self.total = run, total
        self.schedule = make("schedule", "drop_grow", prune.schedule.params)

    def steps(self) -> Iterable[int]:
        """When weights move."""
        return [step for step in self.schedule.events(self.total) if step > 0]  # the masks of step 0 are there already

    def act(self, step: int) -> None:
        """Drops the smallest and grows as many; grown weights start at 0 with clean optimizer slots."""
        from engine.schedules.drop_grow import move

        run = self.run
        assert run.masks is not None
        masks, share = run.mask_arrays(), self.schedule.moving(step, self.total)
        kernels_ = kernels(run.model)
        rng = np.random.default_rng(run.seed("grow", step))
        if self.schedule.grow == "gradient":
            gradients = dense_gradients(run, seed=run.seed("grow", step))
            growth: dict[str, Array] = {k: np.abs(g) for k, g in gradients.items()}
        else:
            growth = {k: np.asarray(rng.random(m.shape)) for k, m in masks.items()}
        moves = {k: move(kernels_[k].variable.numpy(), m, growth[k], share) for k, m in masks.items()}
        moved, grown = {k: m.mask for k, m in moves.items()}, {k: m.grown for k, m in moves.items()}
        run.masks.update(moved, reset=grown)
        count = sum(int(np.count_nonzero(g)) for g in grown.values())
        run.change_masks(moved, step=step, words=f"step {step}: {count:,} weights dropped, as many grown")


def train_drop_grow(run: Run) -> None:
    """Sparse from the first step: random masks with the scope's densities, then moves while training."""
    prune = run.recipe.prune
    assert prune is not None
    if run.done == 0:
        sparsity = target_sparsity(prune.target)
        rng = np.random.default_rng(run.seed("masks"))
        found = {k: rng.random(k_.shape) for k, k_ in kernels(run.model).items()}
        run.change_masks(masks_at(run, sparsity, seed=run.seed("score"), found=found), target=sparsity)
    train(run, phase="training", epochs=run.recipe.train.epochs, tag=TAG, hook=DropGrow(run, total=_steps(run)))


def _steps(run: Run) -> int:
    batch = min(run.recipe.train.batch_size, len(run.data.x_train))
    return math.ceil(len(run.data.x_train) / batch) * run.recipe.train.epochs


def dense_gradients(run: Run, *, seed: int) -> dict[str, Array]:
    """The gradient of the loss with respect to every kernel, masked places included, on one batch of training data."""
    rows = np.random.default_rng(seed).permutation(len(run.data.x_train))[: run.recipe.train.batch_size]
    x, y = tf.constant(run.data.x_train[rows]), tf.constant(run.data.y_train[rows], dtype=run.task.labels)
    found = {k: v.variable for k, v in kernels(run.model).items() if k in run.mask_arrays()}
    # A look at the gradient is no step of training: BatchNorm's statistics and dropout stay where they were.
    states = [(v, v.numpy()) for v in run.model.non_trainable_variables]
    states += [
        (g.state, g.state.numpy()) for n in run.model._flatten_layers() for g in getattr(n, "_seed_generators", ())
    ]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(run.task.losses(y, run.model(x, training=True)))
    values = tape.gradient(loss, [v.value for v in found.values()])
    for variable, value in states:
        variable.assign(value)
    return {k: tf.convert_to_tensor(g).numpy() for k, g in zip(found, values, strict=True)}
