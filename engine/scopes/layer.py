"""Layer by layer: the same sparsity in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from engine.layout import Array
from engine.registry import register
from engine.scopes.base import Pieces, Scope
from engine.scopes.selecting import keep_highest, kept


@register("scope", "layer")
@dataclass(frozen=True)
class Layer(Scope):
    """The `(1 - s) n_l` highest scores of each kernel stay."""

    def select(self, pieces: Mapping[str, Pieces], sparsity: Fraction) -> dict[str, Array]:
        """A threshold a kernel; exact count in each."""
        return {k: keep_highest([p.scores], kept(p.scores.size, sparsity))[0] for k, p in pieces.items()}
