"""LAMP: layer-adaptive magnitude scores, then one threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from engine.errors import PruneError
from engine.layout import Array
from engine.registry import register
from engine.scopes.base import Pieces, Scope
from engine.scopes.selecting import check_numbers, keep_highest, kept


@register("scope", "lamp")
@dataclass(frozen=True)
class Lamp(Scope):
    """`score(u) = s_u^2 / sum_{v >= u} s_v^2` in each kernel, then the highest of all stay (Lee et al. 2021, eq. 3)."""

    def select(self, pieces: Mapping[str, Pieces], sparsity: Fraction) -> dict[str, Array]:
        """One threshold over the adapted scores; exact count over all."""
        arrays = [lamp_scores(p.scores) for p in pieces.values()]
        masks = keep_highest(arrays, kept(sum(a.size for a in arrays), sparsity))
        return dict(zip(pieces, masks, strict=True))


def lamp_scores(scores: Array) -> Array:
    """LAMP scores of one kernel, float64, in (0, 1] where the score is not 0; the largest score always gives 1.

    Args:
        scores: non-negative, `|w|` in the paper. -inf (what is already gone) stays -inf.

    Raises:
        PruneError: there are negative scores, whose squares would turn their order around.
    """
    check_numbers(scores)
    gone = np.isneginf(scores.reshape(-1))
    flat = np.where(gone, 0, scores.reshape(-1))
    if flat.size and flat.min() < 0:
        raise PruneError("scope lamp squares the scores, and some are negative", todo="Use scope global or layer")
    order = np.argsort(flat, kind="stable")
    rising = flat[order].astype(np.float64)
    largest = rising[-1] if rising.size else 0.0
    squares = np.square(rising / largest) if largest else np.zeros_like(rising)
    # Suffix sums by adding from the top: "total minus running sum" cancels and gives scores above 1.
    suffix = np.cumsum(squares[::-1])[::-1]
    adapted = np.empty(flat.shape, dtype=np.float64)
    adapted[order] = np.divide(squares, suffix, out=np.zeros_like(squares), where=suffix > 0)
    adapted[gone] = -np.inf
    return adapted.reshape(scores.shape)
