"""Geometric median: a filter near the middle of its layer can be replaced by the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.criteria.columns import unit_columns
from engine.criteria.context import Array, Arrays, Context
from engine.registry import register


@register("criterion", "fpgm")
@dataclass(frozen=True)
class Fpgm:
    """`S(unit j) = sum over k of ||W[..., j] - W[..., k]||_2` (He et al. 2019, eq. 4); the smallest go first.

    Distances are between the filters themselves: a BatchNorm behind them is not folded in.
    """

    def units(self, context: Context) -> Arrays:
        """The sums of distances, `(units,)`, by kernel key."""
        return {key: distance_sums(c) for key, c in unit_columns(context).items()}


def distance_sums(columns: Array) -> Array:
    """For each column of `(fan_in, units)` float64, the sum of its Euclidean distances to all columns."""
    centred = columns - columns.mean(axis=1, keepdims=True)  # distances stay; nearly equal filters lose fewer digits
    squares = np.square(centred).sum(axis=0)
    gaps = squares[:, None] + squares[None, :] - 2 * (centred.T @ centred)
    np.fill_diagonal(gaps, 0.0)
    return np.asarray(np.sqrt(np.maximum(gaps, 0.0)).sum(axis=0))
