"""Taylor: the first-order estimate of what the loss loses with a weight or a unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.criteria.context import Array, Arrays, Context
from engine.registry import register

Reduce = Callable[[str, Array], Array]


@register("criterion", "taylor")
@dataclass(frozen=True)
class Taylor:
    """`(w g)^2`, `|w g|`, or at units `|sum w g|`, a batch at a time, averaged over batches (Molchanov et al. 2019).

    Attributes:
        form: `square`, `abs` or `abs_sum`; for single weights the last two are the same.
        samples: how many training samples a run draws for it.
        batch_size: samples a batch; None keeps the data's own batches, and arrays are one.
    """

    form: str = "square"
    samples: int | None = 512
    batch_size: int | None = None

    def score(self, context: Context) -> Arrays:
        """Importance of each weight by itself."""

        def single(key: str, product: Array) -> Array:
            return np.asarray(np.square(product) if self.form == "square" else np.abs(product))

        return self._averaged(context, single)

    def units(self, context: Context) -> Arrays:
        """Importance of each unit: the sum over its column."""

        def column(key: str, product: Array) -> Array:
            columns = context.kernels[key].layout.columns(product)
            if self.form == "abs_sum":
                return np.asarray(np.abs(columns.sum(axis=0)))
            return np.asarray((np.square(columns) if self.form == "square" else np.abs(columns)).sum(axis=0))

        return self._averaged(context, column)

    def _averaged(self, context: Context, reduce: Reduce) -> Arrays:
        weights = context.weights()
        totals: Arrays = {}
        batches = 0
        for gradient in context.gradients(batch_size=self.batch_size):
            batches += 1
            for key, w in weights.items():
                value = reduce(key, w * gradient[key])
                totals[key] = totals[key] + value if key in totals else value
        return {key: total / batches for key, total in totals.items()}
