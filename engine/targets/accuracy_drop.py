"""An accuracy budget: the largest sparsity whose accuracy stays within it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from engine.registry import register
from engine.targets.search import Search


@register("target", "accuracy_drop")
@dataclass(frozen=True)
class AccuracyDrop:
    """`max s` with `acc(dense) - acc(s) <= accuracy_drop`, on validation data.

    Attributes:
        accuracy_drop: accuracy that may be lost; 0.01 is one point.
        trials: most models tried.
        objective: what is made small: `size`, `flops` or `latency`.
        vary: what else is tried beside the recipe's own: `scope`, `shares` (from sensitivity), `granularity`.
    """

    accuracy_drop: float = 0.01
    trials: int = 12
    objective: str = "size"
    vary: Sequence[str] = ()

    def final(self) -> float | None:
        """None: it is searched."""
        return None

    def within(self, dense: float, now: float) -> bool:
        """Whether an accuracy is within the budget; 0.97 is within 0.01 of 0.98, whatever binary floats say."""
        return Fraction(str(dense)) - Fraction(str(now)) <= Fraction(str(self.accuracy_drop))

    def search(self) -> Search:
        """For the largest sparsity."""
        return Search(trials=self.trials, rising=True)
