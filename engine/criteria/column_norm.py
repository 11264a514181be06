"""Mean column norm: a column against the mean of its layer, as the dynamic method sees it (methods.md §2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.criteria.columns import unit_columns
from engine.criteria.context import Array, Arrays
from engine.criteria.unit_context import NormValues, UnitContext
from engine.registry import register


@register("criterion", "column_norm")
@dataclass(frozen=True)
class ColumnNorm:
    """`c_j / mu`, with `c_j = ||W[..., j]||_2` over the kept weights and mu the mean over the active columns.

    Where a BatchNorm follows directly, W is the folded kernel, `W * |gamma_j| / sqrt(var_j + eps)`: BatchNorm undoes
    the scale of its columns.
    """

    def units(self, context: UnitContext) -> Arrays:
        """`(units,)` by kernel key; columns that are gone score 0."""
        return {key: _shares(c) for key, c in _folded(context).items()}

    def score(self, context: UnitContext) -> Arrays:
        """Single weights in the same measure: `|w| sqrt(fan) / mu`, fan the mean number of kept weights a column.

        A weight that scores below alpha is one that the dynamic method takes with the threshold factor alpha.
        """
        norms = context.norms()
        scores: Arrays = {}
        for key, kernel in context.kernels.items():
            columns = np.asarray(kernel.layout.columns(np.asarray(context.weights()[key], np.float64)))
            factor = fold_factor(norms[key]) if key in norms else np.ones(columns.shape[1])
            lengths = np.sqrt(np.square(columns).sum(axis=0)) * factor
            kept = np.count_nonzero(columns, axis=0)
            active = kept > 0
            fan = kept[active].mean() if active.any() else 0.0
            mean = lengths[active].mean() if active.any() else 0.0
            measure = kernel.layout.spread(factor * (np.sqrt(fan) / mean if mean > 0 else 0.0), kernel.shape)
            scores[key] = np.abs(np.asarray(context.weights()[key], np.float64)) * measure
        return scores


def fold_factor(norm: NormValues) -> Array:
    """What a BatchNorm multiplies each column by, `|gamma_j| / sqrt(var_j + eps)`, `(units,)`."""
    gamma = np.ones(len(norm.variance)) if norm.gamma is None else np.abs(norm.gamma.astype(np.float64))
    return np.asarray(gamma / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon))


def _folded(context: UnitContext) -> dict[str, Array]:
    norms = context.norms()
    return {key: c * fold_factor(norms[key]) if key in norms else c for key, c in unit_columns(context).items()}


def _shares(columns: Array) -> Array:
    norms = np.sqrt(np.square(columns).sum(axis=0))
    active = np.count_nonzero(columns, axis=0) > 0
    mean = norms[active].mean() if active.any() else 0.0
    return np.asarray(norms / mean if mean > 0 else norms)
