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
    """`max s` with `acc(dense) - acc(s) <= accuracy_drop`, on validation data, with a margin for what it cannot know.

    Of many trials that end at the very edge the search keeps the luckiest, so on other data more would be lost than was
    promised. A trial therefore has to be within by `margin` standard errors of its loss.

    Attributes:
        accuracy_drop: accuracy that may be lost; 0.01 is one point.
        margin: standard errors of the loss that must fit into the budget as well; 0 takes validation at its word.
        trials: most models tried.
        objective: what is made small: `size`, `flops` or `latency`.
        vary: what else is tried beside the recipe's own: `scope`, `shares` (from sensitivity), `granularity`.
    """

    accuracy_drop: float = 0.01
    margin: float = 1.0
    trials: int = 12
    objective: str = "size"
    vary: Sequence[str] = ()

    def final(self) -> float | None:
        """None: it is searched."""
        return None

    def within(self, dense: float, now: float, *, error: float = 0.0) -> bool:
        """Whether an accuracy is within the budget; 0.97 is within 0.01 of 0.98, whatever binary floats say.

        Args:
            dense: the dense model's accuracy.
            now: the accuracy to judge.
            error: the standard error of their difference, of which `margin` are added to it.
        """
        lost = Fraction(str(dense)) - Fraction(str(now)) + Fraction(self.margin * error)
        return lost <= Fraction(str(self.accuracy_drop))

    def search(self) -> Search:
        """For the largest sparsity."""
        return Search(trials=self.trials, rising=True)
