"""SNIP: connection sensitivity on one batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.criteria.context import Arrays, Context
from engine.registry import register


@register("criterion", "snip")
@dataclass(frozen=True)
class Snip:
    """`S(w) = |w * dL/dw|` (Lee, Ajanthan & Torr 2019).

    Attributes:
        samples: how many training samples a run draws for it.
    """

    samples: int | None = 128

    def score(self, context: Context) -> Arrays:
        """The sensitivities of the net as it is, masks included."""
        gradient = context.gradient()
        return {key: np.abs(w * gradient[key]) for key, w in context.weights().items()}
