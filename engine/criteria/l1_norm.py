"""L1 norm: a unit is worth the sum of its absolute weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.criteria.columns import unit_columns
from engine.criteria.context import Arrays, Context
from engine.registry import register


@register("criterion", "l1_norm")
@dataclass(frozen=True)
class L1Norm:
    """`S(unit) = ||W[..., j]||_1` (Li et al. 2017)."""

    def units(self, context: Context) -> Arrays:
        """The norms, `(units,)`, by kernel key."""
        return {key: np.abs(c).sum(axis=0) for key, c in unit_columns(context).items()}
