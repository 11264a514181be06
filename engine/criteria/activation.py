"""Activation: a weight times the size of its input; a unit by how strongly it fires."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.criteria.context import Arrays, Context
from engine.criteria.unit_context import UnitContext
from engine.registry import register


@register("criterion", "activation")
@dataclass(frozen=True)
class Activation:
    """Weights: `S = |w_ij| * ||x_i||_2`, the norm over samples and positions (Wanda, Sun et al. 2024, eq. 1).

    Attributes:
        samples: how many samples a run draws for it; labels are not needed.
    """

    samples: int | None = 512

    def score(self, context: Context) -> Arrays:
        """The products; kernels whose input cannot be seen (inside a recurrent loop) are skipped."""
        norms = context.input_norms()
        return {key: np.abs(w) * norms[key] for key, w in context.weights().items() if key in norms}

    def units(self, context: UnitContext) -> Arrays:
        """Mean |activation| of each unit, behind its nonlinearity, over samples and positions."""
        totals: Arrays = {}
        rows: dict[str, int] = {}
        for batch in context.activations():
            for key, made in batch.items():
                totals[key] = totals.get(key, 0) + np.abs(made).sum(axis=0, dtype=np.float64)
                rows[key] = rows.get(key, 0) + len(made)
        return {key: total / rows[key] for key, total in totals.items()}
