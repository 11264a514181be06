"""A given sparsity."""

from __future__ import annotations

from dataclasses import dataclass

from engine.registry import register


@register("target", "sparsity")
@dataclass(frozen=True)
class Sparsity:
    """`keep = total - floor(s * total)`.

    Attributes:
        sparsity: the share of prunable weights (or of units) that goes.
    """

    sparsity: float = 0.8

    def final(self) -> float | None:
        """The given sparsity."""
        return self.sparsity
