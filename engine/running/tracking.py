"""Movement scores, added up inside the compiled steps: `S(w) -= w * dL/dw` at every update (Sanh, Wolf & Rush 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from engine.layout import kernels
from engine.running.context import Run
from engine.scoring.units import units_of_weights

Array = np.ndarray[Any, Any]
KEPT = "movement"


class Movement:
    """The running sums of one phase; they survive a checkpoint in `run.arrays`.

    Attributes:
        sums: by variable key.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.variables = {key: kernel.variable for key, kernel in kernels(run.model).items()}
        before = run.arrays.get(KEPT, {}) if run.done else {}
        self.sums = {
            key: tf.Variable(before.get(key, np.zeros(v.shape, np.float32)), trainable=False)
            for key, v in self.variables.items()
        }

    def __call__(self, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        """Adds one update's share; called inside the compiled step, before the update."""
        place = {id(v): g for v, g in zip(variables, gradients, strict=True)}
        for key, variable in self.variables.items():
            gradient = place.get(id(variable))
            if gradient is not None:
                moved = variable.value * tf.convert_to_tensor(gradient)
                self.sums[key].assign_sub(tf.cast(moved, tf.float32))

    def scores(self) -> dict[str, Array]:
        """The sums so far, higher = keep: of weights by variable key, or of units by layer key."""
        prune = self.run.recipe.prune
        if prune is None or not self.run.by_units:
            return self._sums()
        return units_of_weights(self.run.model, self._sums(), pool=prune.granularity.get("group", "sum"))

    def keep(self) -> None:
        """Leaves the sums where a checkpoint takes them along."""
        self.run.arrays[KEPT] = self._sums()

    def _sums(self) -> dict[str, Array]:
        return {key: s.numpy() for key, s in self.sums.items()}


def wanted(run: Run) -> bool:
    """True when the recipe scores by movement while it trains."""
    prune = run.recipe.prune
    return prune is not None and prune.criterion.name == "movement"
