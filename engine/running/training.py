"""The training loop. There is one: dense, sparse, fine-tuning and recovery all go through it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

import tensorflow as tf

from engine.data.augmentation import augmentation
from engine.events import EpochEnded, Phase, Progress, number
from engine.keys import variable_keys
from engine.running import optimizing, seeding
from engine.running.context import Run
from engine.running.feeding import Extra, Steps, use_xla
from engine.running.penalty import training_term
from engine.running.tracking import Movement

EXECUTION_SECONDS = 0.3
PROGRESS_SECONDS = 0.1
OVER = "phase over"
SLOTS = "carried slots"


class Hook(Protocol):
    """Something that acts between steps: a schedule that changes masks."""

    def steps(self) -> Iterable[int]:
        """The steps of the phase (from 0) before which it acts; executions are cut there."""

    def act(self, step: int) -> None:
        """Acts; `step` updates are behind."""


def train(
    run: Run,
    *,
    phase: Phase,
    epochs: int,
    tag: str,
    rate: Callable[[float], float] | None = None,
    hook: Hook | None = None,
    patience: int | None = None,
    extra_loss: Extra | None = None,
    track: Movement | None = None,
    control: bool = False,
    ahead: int = 0,
    on_epoch: Callable[[], Phase | None] | None = None,
    after_epoch: Callable[[float], bool] | None = None,
) -> None:
    """Trains the run's model for some epochs, from `run.done` on, with a checkpoint after each.

    Args:
        run: with its model, masks and data.
        phase: its name for people.
        epochs: of the whole phase.
        tag: its name for seeds; the same tag sees the same order of examples.
        rate: the learning rate over the share of the phase; None is the recipe's own course.
        hook: changes masks at steps of its own.
        patience: stop after so many epochs without a better validation metric, and keep the best state; of a repair
            that may be the one before it.
        extra_loss: added to the loss of every step; None is what the criterion adds to training (not to recovery).
        track: adds up scores over the updates.
        control: these epochs are the dense control's.
        ahead: steps that are to follow with the same compiled loop, for the choice of XLA.
        on_epoch: called before an epoch is told, to add series and numbers; it may say what the epoch was for.
        after_epoch: called with the validation metric after an epoch was told and before the checkpoint: what a method
            that decides by itself does then; True ends the phase. It may put a smaller model into the run, and leaves
            the optimizer's slots for it, by name, in `run.arrays[SLOTS]`.
    """
    train_ = run.recipe.train
    batch = min(train_.batch_size, len(run.data.x_train))
    per_epoch = math.ceil(len(run.data.x_train) / batch)
    total = per_epoch * epochs
    if epochs == 0:
        return
    run.begin(phase, epochs=epochs, control=control)
    devices = [d.device_type for d in tf.config.list_physical_devices()]
    xla = use_xla(run.model, steps_ahead=max(total, ahead), devices=devices)
    course, own = rate or optimizing.own_course(train_), extra_loss is None and phase != "recovering"
    ready = partial(_ready, run, batch=batch, xla=xla, extra_loss=extra_loss, own_term=own, track=track)
    steps = ready(course, total)
    if run.done and "optimizer" in run.arrays:
        steps.fresh.restore(run.arrays.pop("optimizer"))
    loop = _Loop(run, steps, phase=phase, epochs=epochs, hook=hook)
    best = _Best(run, patience, repairs=phase == "recovering")
    if run.done == 0:
        run.memory.pop(OVER, None)
    while run.done < epochs and not run.memory.get(OVER):
        began = time.perf_counter()
        if steps.augment is not None:
            seeding.reseed_layers(steps.augment, seed=run.recipe.seed, phase=f"{tag}/augment", epoch=run.done)
        seeding.reseed_layers(run.model, seed=run.recipe.seed, phase=tag, epoch=run.done)
        order = seeding.order(steps.count, seed=run.recipe.seed, phase=tag, epoch=run.done)
        loss, metric = loop.epoch(tf.constant(order))
        run.done += 1
        run.epoch += 0 if control else 1
        if hook is not None and run.done == epochs:
            loop.act_until(total + 1)
        validation_loss, validation = run.validate()
        spent_on = on_epoch() if on_epoch is not None else None
        run.say(
            EpochEnded(
                epoch=run.done if control else run.epoch, phase=spent_on or phase, control=control,
                loss=number(loss), metric=number(metric), validation=number(validation),
                validation_loss=number(validation_loss), sparsity=run.sparsity(),
                counts=run.counts(), learning_rate=float(run.optimizer.learning_rate), series=dict(run.series),
                seconds=time.perf_counter() - began,
            )
        )  # fmt: skip
        stop = best.seen(validation)
        if track is not None:
            track.keep()
        over = after_epoch is not None and after_epoch(validation)
        if run.model is not steps.model:  # physically smaller from here on: other steps, the same course
            steps = loop.go_on_with(ready(course, total))
        if stop or over:
            run.memory[OVER] = True  # a resume from this checkpoint must not train on
        run.save()
        run.control.check(lambda: run.show(loop.progress(0, paused=True)))
        if stop:
            run.note(f"no better validation for {patience} epochs: stopped, best state kept")
    run.memory.pop(OVER, None)
    steps.fresh.end(run.model.trainable_variables)
    if run.masks is not None:
        run.masks.apply()
    best.keep()


def _ready(
    run: Run, course: Callable[[float], float], total: int, *, extra_loss: Extra | None, own_term: bool, **parts: Any
) -> Steps:
    """The steps of a phase for the run's model as it is, at the phase's beginning."""
    steps = _steps(run, extra_loss=training_term(run) if own_term else extra_loss, **parts)
    steps.fresh.begin(course, total)
    return steps


def _steps(run: Run, *, batch: int, xla: bool, extra_loss: Extra | None, track: Movement | None) -> Steps:
    """The compiled steps; those of an earlier phase where nothing that was traced has changed since (rounds)."""
    traced = (run.model, run.masks, xla, extra_loss, track)
    if run.compiled is not None and all(a is b for a, b in zip(run.compiled[0], traced, strict=True)):
        steps: Steps = run.compiled[1]
        run.optimizer = steps.fresh.optimizer
        return steps
    fresh = optimizing.Fresh(run.recipe.train, run.model.trainable_variables)
    run.optimizer = fresh.optimizer
    if run.masks is not None:
        run.masks.watch(run.optimizer)
    steps = Steps(
        run.model, fresh, run.task, run.data.x_train, run.data.y_train,
        batch_size=batch, xla=xla, extra_loss=extra_loss, augment=augmentation(run.data), track=track,
    )  # fmt: skip
    run.compiled = (traced, steps)
    return steps


class _Loop:
    """One phase's executions: cut at the hook's steps and at about 0.3 s, asking between them whether to stop."""

    def __init__(self, run: Run, steps: Steps, *, phase: Phase, epochs: int, hook: Hook | None) -> None:
        self.run, self.steps, self.phase, self.epochs, self.hook = run, steps, phase, epochs, hook
        self.waiting = sorted(set(hook.steps())) if hook else []
        # A step between two epochs is acted on when the next one begins: after the checkpoint, so it still waits.
        self.waiting = [s for s in self.waiting if s >= run.done * steps.per_epoch]
        self.rate = 0.0
        self.begun = time.perf_counter()
        self.told = 0.0
        self.sums = (0.0, 0.0)
        self.seen = 0

    def epoch(self, order: Any) -> tuple[float, float]:
        """Does one epoch; gives the mean training loss and metric."""
        first = self.run.done * self.steps.per_epoch
        self.sums, self.seen, at = (0.0, 0.0), 0, 0
        while at < self.steps.per_epoch:
            self.act_until(first + at + 1)
            cuts = [s - first for s in self.waiting if s > first + at]
            size = max(1, int(self.rate * EXECUTION_SECONDS)) if self.rate else 1
            end = min([self.steps.per_epoch, at + size, *cuts])
            self._execute(order, at, end)
            at = end
            self._tell(at)
            self.run.control.check(lambda: self.run.show(self.progress(at, paused=True)))  # noqa: B023 - called at once
        count = self.steps.count
        return self.sums[0] / count, self.sums[1] / count

    def act_until(self, step: int) -> None:
        """Lets the hook act at every waiting step below this one."""
        while self.waiting and self.waiting[0] < step:
            assert self.hook is not None
            self.hook.act(self.waiting.pop(0))

    def go_on_with(self, steps: Steps) -> Steps:
        """Goes on with the steps of a smaller model, whose optimizer takes over the slots that were carried."""
        steps.fresh.put(self.run.arrays.pop(SLOTS), variable_keys(self.run.model), counters=True)
        self.steps, self.rate = steps, 0.0
        return steps

    def _execute(self, order: Any, begin: int, end: int) -> None:
        compiling = self.rate == 0.0
        if compiling:
            self.run.show(Progress(phase="compiling", epoch=self.run.done, epochs=self.epochs))
        started = time.perf_counter()
        loss, metric = self.steps.run(order, begin, end)
        seconds = max(time.perf_counter() - started, 1e-6)
        self.sums = (self.sums[0] + loss, self.sums[1] + metric)
        self.seen += min(end * self.steps.batch_size, self.steps.count) - begin * self.steps.batch_size
        # The first call traces and compiles; its time says nothing about a step.
        fresh = (end - begin) / seconds
        self.rate = 20.0 if compiling else (fresh if self.rate == 20.0 else 0.5 * self.rate + 0.5 * fresh)

    def _tell(self, at: int) -> None:
        now = time.perf_counter()
        if now - self.told >= PROGRESS_SECONDS:
            self.told = now
            self.run.show(self.progress(at))

    def progress(self, at: int, *, paused: bool = False) -> Progress:
        """How far the phase is."""
        total = self.steps.per_epoch * self.epochs
        behind = self.run.done * self.steps.per_epoch + at
        seen = max(self.seen, 1)
        return Progress(
            phase=self.phase, epoch=min(self.run.done + 1, self.epochs), epochs=self.epochs, step=at,
            steps=self.steps.per_epoch, loss=number(self.sums[0] / seen), metric=number(self.sums[1] / seen),
            sparsity=0.0 if self.run.masks is None else self.run.sparsity(), rate=self.rate * self.steps.batch_size,
            share=behind / max(total, 1), paused=paused,
            seconds_left=(total - behind) / self.rate if self.rate else None,
        )  # fmt: skip


class _Best:
    """The best state by validation, where a phase stops early."""

    def __init__(self, run: Run, patience: int | None, *, repairs: bool) -> None:
        self.run, self.patience = run, patience
        if run.done == 0:
            run.memory.pop("best", None)
            if repairs and patience is not None:
                self.seen(run.validate()[1])  # a repair must not leave less than it found

    def seen(self, validation: float) -> bool:
        """Remembers the best state; True when it is time to stop."""
        if self.patience is None:
            return False
        best = self.run.memory.get("best")
        if best is None or self.run.better(validation, best["value"]):
            self.run.memory["best"] = {"value": validation, "epoch": self.run.done}
            self.run.arrays["best"] = self.run.weights()
            return False
        return bool(self.run.done - best["epoch"] >= self.patience)

    def keep(self) -> None:
        """Puts the best state back."""
        if self.patience is not None and "best" in self.run.arrays:
            self.run.set_weights(self.run.arrays.pop("best"))
        self.run.memory.pop("best", None)
