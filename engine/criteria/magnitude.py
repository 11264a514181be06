"""Magnitude: small weights matter least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.criteria.context import Arrays, Context
from engine.registry import register


@register("criterion", "magnitude")
@dataclass(frozen=True)
class Magnitude:
    """`S(w) = |w|` (Han et al. 2015)."""

    def score(self, context: Context) -> Arrays:
        """The absolute values."""
        return {key: np.abs(w) for key, w in context.weights().items()}
