"""The compiled part of training and judging: many steps in one call, fed by gathering from arrays in the graph.

Gathering by an index array is the fastest feed measured on CPU (design.md), and makes the data's order a plain value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from engine.running.optimizing import Fresh
from engine.running.task import Task

Array = np.ndarray[Any, Any]
Extra = Callable[[Any, Any, Any], Any]
EVALUATION_BATCH = 512


class Steps:
    """Compiled training steps for one model, optimizer and data set.

    Args:
        model: a built model.
        fresh: the optimizer, built on its trainable variables (a `LossScaleOptimizer` under mixed precision).
        x, y: the training arrays.
        batch_size: examples a step; the last step of an epoch takes what is left.
        xla: compile the loop of full steps with XLA.
        extra_loss: `(x, y, outputs) -> scalar` added to the loss (distillation, a regulariser).
        augment: a layer that changes a batch of inputs at random.
        track: called with the gradients and variables of every step.
    """

    def __init__(
        self,
        model: Any,
        fresh: Fresh,
        task: Task,
        x: Array,
        y: Array,
        *,
        batch_size: int,
        xla: bool,
        extra_loss: Extra | None = None,
        augment: Any = None,
        track: Callable[[Any, Any], None] | None = None,
    ) -> None:
        self.model, self.fresh, self.task, self.extra_loss = model, fresh, task, extra_loss
        self.optimizer = fresh.optimizer
        self.augment, self.track = augment, track
        self.count, self.batch_size = len(x), min(batch_size, len(x))
        self.full, self.left = divmod(self.count, self.batch_size)
        self._x, self._y = tf.constant(x), tf.constant(np.asarray(y), dtype=task.labels)
        self._variables = list(model.trainable_variables)
        self._xla = xla and augment is None
        self.retrace()

    def retrace(self) -> None:
        """Forgets what was traced: masks are read when a step is traced, so other masks ask for another trace."""
        self._loop = tf.function(self._many, jit_compile=self._xla, autograph=False)
        self._one = tf.function(self._step, jit_compile=False, autograph=False)

    @property
    def per_epoch(self) -> int:
        """Steps an epoch, the smaller last one included."""
        return self.full + (1 if self.left else 0)

    def run(self, order: Any, begin: int, end: int) -> tuple[float, float]:
        """Does steps `begin` to `end` (exclusive) of an epoch.

        Args:
            order: the epoch's `(count,)` int32 order of examples, as a tensor.
            begin: the first step.
            end: one after the last.

        Returns:
            The sums of loss and metric over the examples seen.
        """
        sums = tf.zeros((2,))
        if begin < min(end, self.full):
            batches = tf.reshape(order[: self.full * self.batch_size], (self.full, self.batch_size))
            sums += self._loop(batches, tf.constant(begin), tf.constant(min(end, self.full)))
        if end > self.full:
            sums += self._one(order[self.full * self.batch_size :])
        loss, metric = sums.numpy()
        return float(loss), float(metric)

    def _many(self, batches: Any, begin: Any, end: Any) -> Any:
        # Bounds are tensors: an execution may be cut anywhere without tracing or compiling again.
        return tf.while_loop(
            lambda i, _: i < end,
            lambda i, sums: (i + 1, sums + self._step(batches[i])),
            (begin, tf.zeros((2,))),
            parallel_iterations=1,
        )[1]

    def _step(self, rows: Any) -> Any:
        x, y = tf.gather(self._x, rows), tf.gather(self._y, rows)
        if self.augment is not None:
            x = self.augment(x, training=True)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in self._variables])
            outputs = self.model(x, training=True)
            losses = self.task.losses(y, outputs)
            total = tf.reduce_mean(losses)
            for more in self.model.losses:
                total += tf.cast(more, tf.float32)
            if self.extra_loss is not None:
                total += self.extra_loss(x, y, outputs)
            scaled = self.optimizer.scale_loss(total)
        gradients = tape.gradient(scaled, [v.value for v in self._variables])
        if self.track is not None:
            self.track(self._unscaled(gradients), self._variables)
        self.optimizer.apply(gradients, self._variables)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(self.task.scores(y, outputs))])

    def _unscaled(self, gradients: Sequence[Any]) -> list[Any]:
        """Gradients without the factor of a `LossScaleOptimizer`; a step that it will skip counts as none."""
        if not hasattr(self.optimizer, "inner_optimizer"):
            return list(gradients)
        scale = tf.convert_to_tensor(self.optimizer.scale_loss(tf.ones(())))
        found = [None if g is None else tf.convert_to_tensor(g) / tf.cast(scale, g.dtype) for g in gradients]
        sound = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in found if g is not None])
        return [None if g is None else tf.where(sound, g, tf.zeros_like(g)) for g in found]


class Evaluation:
    """Loss and metric of a model on fixed arrays, compiled once."""

    def __init__(self, model: Any, task: Task, x: Array, y: Array) -> None:
        self.model, self.task, self.count = model, task, len(x)
        self._x, self._y = tf.constant(x), tf.constant(np.asarray(y), dtype=task.labels)
        self._batch = tf.function(self._sums, autograph=False, reduce_retracing=True)

    def __call__(self) -> tuple[float, float]:
        """(mean loss, metric) over all examples; NaN where there are none."""
        if not self.count:
            return float("nan"), float("nan")
        total = np.zeros(2)
        for begin in range(0, self.count, EVALUATION_BATCH):
            end = min(begin + EVALUATION_BATCH, self.count)
            total += self._batch(self._x[begin:end], self._y[begin:end]).numpy()
        loss, metric = total / self.count
        return float(loss), float(metric)

    def each(self) -> Array:
        """What every example contributes to the metric, `(examples,)`: two models are compared pair by pair."""
        found = []
        for begin in range(0, self.count, EVALUATION_BATCH):
            rows = slice(begin, begin + EVALUATION_BATCH)
            found.append(self.task.scores(self._y[rows], self.model(self._x[rows], training=False)).numpy())
        return np.concatenate(found) if found else np.empty(0)

    def _sums(self, x: Any, y: Any) -> Any:
        outputs = self.model(x, training=False)
        return tf.stack([tf.reduce_sum(self.task.losses(y, outputs)), tf.reduce_sum(self.task.scores(y, outputs))])


def use_xla(model: Any, *, steps_ahead: int, devices: Sequence[str] = ("CPU",)) -> bool:
    """The fixed rule of design.md: XLA for pure MLPs on CPU when some 3,000 steps or more lie ahead.

    Compiling costs 1-2 s and doubles the speed of a step; where there are convolutions it is 1.7 times slower.
    """
    plain = {
        "InputLayer",
        "Dense",
        "Activation",
        "ReLU",
        "Flatten",
        "Dropout",
        "Rescaling",
        "Softmax",
        "Sequential",
        "Functional",
    }
    layers = [type(layer).__name__ for layer in model._flatten_layers(include_self=False)]
    return steps_ahead >= 3_000 and all(name in plain for name in layers) and "Dense" in layers and "GPU" not in devices
