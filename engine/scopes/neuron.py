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
            columns = matrix(piece.scores, piece.layout)
            keep = np.stack(
                [top(column, kept(len(column), sparsity)) for column in np.ascontiguousarray(columns.T)], axis=1
            )
            chosen[key] = unmatrix(keep, piece.scores.shape, piece.layout)
        return chosen


def top(scores: Array, keep: int) -> Array:
    """Mask of the `keep` highest of a vector; among equals the first stay."""
    mask = np.zeros(len(scores), dtype=bool)
    mask[np.argsort(-scores, kind="stable")[:keep]] = True
    return mask
