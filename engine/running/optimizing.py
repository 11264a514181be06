"""An optimizer that begins anew with each phase, and a learning rate that takes any course inside the compiled loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.masks.hooks import innermost, slots
from engine.recipe import Train

Course = Callable[[float], float]
COUNTERS = ("iteration", "learning_rate")


class RateTable(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """`rate(step)` looked up in a table that may be set anew; beyond its end the last value stays."""

    def __init__(self) -> None:
        self.rates = tf.Variable(np.zeros(1, np.float32), shape=tf.TensorShape([None]), trainable=False)

    def set(self, course: Course, steps: int) -> None:
        """Fills the table from a course over the share of a phase (0 at its first step, 1 at its last)."""
        rates = [course(i / max(steps - 1, 1)) for i in range(max(steps, 1))]
        self.rates.assign(np.asarray(rates, np.float32))

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step."""
        rates = tf.convert_to_tensor(self.rates)
        return tf.gather(rates, tf.minimum(tf.cast(step, tf.int32), tf.size(rates) - 1))

    def get_config(self) -> dict[str, Any]:
        """What rebuilds it."""
        return {}


class Fresh:
    """The recipe's optimizer on some variables. What was compiled with it may be used again by a later phase.

    Attributes:
        optimizer: built.
    """

    def __init__(self, settings: Train, variables: list[Any]) -> None:
        from engine.models.optimizers import make_optimizer

        self._table = RateTable()
        name, params = settings.optimizer.name, settings.optimizer.params
        self.optimizer = make_optimizer(name, params, rate=self._table, mixed_precision=settings.mixed_precision)
        self.optimizer.build(variables)
        # One process trains on one device: there is nothing to sum over. When a step is traced, Keras' sum registers
        # a gradient of its own with TensorFlow, for good, and with it that step's graph, data and variables.
        innermost(self.optimizer)._all_reduce_sum_gradients = list
        self._first = [(v, v.numpy()) for v in self.optimizer.variables]

    def begin(self, course: Course, steps: int) -> None:
        """Starts a phase: empty slots, step 0, its own course of the learning rate."""
        self._table.set(course, steps)
        for variable, value in self._first:
            variable.assign(value)

    def end(self, variables: list[Any]) -> None:
        """Ends a phase: with `use_ema` the weights become their averages, as at the end of a `fit`."""
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if inner.use_ema:
            inner.finalize_variable_values(variables)

    def put(self, values: Mapping[str, Any], variables: Mapping[str, Any], *, counters: bool) -> None:
        """Takes these values by name (`named`); what has none begins anew.

        Args:
            values: by name; those of another shape (Adafactor's factors, once a layer is smaller) are left out.
            variables: of the model, by key.
            counters: whether the count of steps is put back too; else time goes on.
        """
        first = {id(v): value for v, value in self._first}
        for name, variable in named(self.optimizer, variables).items():
            if not counters and variable.path.endswith(COUNTERS):
                continue
            value = values.get(name)
            fits = value is not None and np.shape(value) == tuple(variable.shape)
            variable.assign(value if fits else first[id(variable)])

    def restore(self, kept: dict[str, Any]) -> None:
        """Goes on where a checkpoint left it."""
        for number, variable in enumerate(self.optimizer.variables):
            variable.assign(kept[str(number)])


def named(optimizer: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
    """An optimizer's variables by what they stand for: `0|dense/kernel` is the first slot of that weight.

    Keras numbers optimizers as it makes them, so their own names are others in a resumed run; and places change where
    a smaller model gains a bias. What belongs to no single weight is named by its place among its like.

    Args:
        optimizer: built.
        variables: of the model, by key.
    """
    found = {f"{n}|{key}": slot for key, v in variables.items() for n, (slot, _) in enumerate(slots(optimizer, v))}
    owned = {id(v) for v in found.values()}
    others = [v for v in optimizer.variables if id(v) not in owned]
    return found | {f"{v.name} {n}": v for n, v in enumerate(others)}


def own_course(settings: Train) -> Course:
    """The recipe's own course of the learning rate."""
    from engine.models.learning_rates import course

    base = settings.optimizer.get("learning_rate")
    made: Course = course(settings.learning_rate.name, settings.learning_rate.params, base=base)
    return made
