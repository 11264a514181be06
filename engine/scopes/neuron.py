"""Neuron by neuron: the same share in every column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from engine.errors import PruneError
from engine.granularity import matrix, unmatrix
from engine.layout import Array
from engine.registry import register
from engine.scopes.base import Pieces, Scope
from engine.scopes.selecting import check_numbers, kept


@register("scope", "neuron")
@dataclass(frozen=True)
class Neuron(Scope):
    """The `(1 - s) fan-in` highest scores of each column stay."""

    def select(self, pieces: Mapping[str, Pieces], sparsity: Fraction) -> dict[str, Array]:
        """A threshold a column; exact count in each. Ties: the first stay.

        Raises:
            PruneError: the pieces are whole units.
        """
        chosen: dict[str, Array] = {}
        for key, piece in pieces.items():
            if piece.scores.ndim < 2:
                raise PruneError(
                    "scope neuron chooses inside each unit, so it cannot choose units",
                    todo="Use scope layer or global, or granularity weight",
                )
            check_numbers(piece.scores)
            columns = np.ascontiguousarray(matrix(piece.scores, piece.layout).T)
            keep = rows_top(columns, kept(columns.shape[1], sparsity))
            chosen[key] = unmatrix(np.ascontiguousarray(keep.T), piece.scores.shape, piece.layout)
        return chosen


def rows_top(scores: Array, keep: int) -> Array:
    """Mask of the `keep` highest of each row of a matrix; among equals the first stay."""
    length = scores.shape[1]
    if keep in (0, length):
        return np.full(scores.shape, keep > 0)
    threshold = np.partition(scores, length - keep, axis=1)[:, length - keep, None]
    mask = scores > threshold
    equal = scores == threshold
    missing = keep - np.count_nonzero(mask, axis=1)
    crowded = np.flatnonzero(np.count_nonzero(equal, axis=1) > missing)
    equal[crowded] &= np.cumsum(equal[crowded], axis=1) <= missing[crowded, None]
    mask |= equal
    return np.asarray(mask)


def top(scores: Array, keep: int) -> Array:
    """Mask of the `keep` highest of a vector; among equals the first stay."""
    mask = np.zeros(len(scores), dtype=bool)
    mask[np.argsort(-scores, kind="stable")[:keep]] = True
    return mask
