"""The learning rate as a table over steps: any course of it runs inside the compiled loop and survives a resume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class RateTable(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """`rate(step)` looked up; beyond the end the last value stays."""

    def __init__(self, rates: Any) -> None:
        self.rates = np.asarray(rates, dtype=np.float32)

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step."""
        place = tf.minimum(tf.cast(step, tf.int32), len(self.rates) - 1)
        return tf.gather(tf.constant(self.rates), place)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds it."""
        return {"rates": self.rates.tolist()}


def table(rate: Callable[[float], float], steps: int) -> RateTable:
    """A course over the share of a phase (0 at its begin, 1 at its end) as a table over its steps."""
    return RateTable([rate(i / max(steps - 1, 1)) for i in range(max(steps, 1))])
