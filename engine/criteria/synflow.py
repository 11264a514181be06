"""SynFlow: the synaptic flow through the absolute network; needs no data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.criteria.context import Arrays, Context
from engine.registry import register


@register("criterion", "synflow")
@dataclass(frozen=True)
class Synflow:
    """`S(w) = |w| * dR/d|w|`, in steps of density `rho^(t/T)` (Tanaka et al. 2020, algorithm 1).

    Attributes:
        iterations: T.
    """

    iterations: int = 100

    def score(self, context: Context) -> Arrays:
        """Non-negative scores in float64; without biases each layer's sum is R."""
        flow = context.flow()
        return {key: np.abs(w * flow[key]) for key, w in context.weights().items()}
