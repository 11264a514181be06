# ruff: noqa: N999  (the module bears the name that a recipe says)
"""Global: one threshold over the whole network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from engine.layout import Array
from engine.registry import register
from engine.scopes.base import Pieces, Scope
from engine.scopes.selecting import keep_highest, kept


@register("scope", "global")
@dataclass(frozen=True)
class Global(Scope):
    """The `(1 - s) N` highest scores of all kernels together stay."""

    def select(self, pieces: Mapping[str, Pieces], sparsity: Fraction) -> dict[str, Array]:
        """One threshold; exact count over all."""
        arrays = [p.scores for p in pieces.values()]
        masks = keep_highest(arrays, kept(sum(a.size for a in arrays), sparsity))
        return dict(zip(pieces, masks, strict=True))
