"""L2 norm: a unit is worth the length of its column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.criteria.columns import unit_columns
from engine.criteria.context import Arrays, Context
from engine.registry import register


@register("criterion", "l2_norm")
@dataclass(frozen=True)
class L2Norm:
    """`S(unit) = ||W[..., j]||_2` (the baseline experiment; He et al. 2018)."""

    def units(self, context: Context) -> Arrays:
        """The norms, `(units,)`, by kernel key."""
        return {key: np.sqrt(np.square(c).sum(axis=0)) for key, c in unit_columns(context).items()}
