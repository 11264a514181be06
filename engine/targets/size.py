"""A size budget: the smallest sparsity that keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.registry import register
from engine.targets.search import Search


@register("target", "size")
@dataclass(frozen=True)
class Size:
    """`min s` with `parameters(s) <= size * parameters(dense)`.

    Attributes:
        size: share of the dense model's parameters that may stay.
        trials: most models tried.
    """

    size: float = 0.5
    trials: int = 12

    def final(self) -> float | None:
        """None: it is searched."""
        return None

    def within(self, dense: float, now: float) -> bool:
        """Whether parameters are within the share of the dense model's."""
        return now <= self.size * dense

    def search(self) -> Search:
        """For the smallest sparsity."""
        return Search(trials=self.trials, rising=False)
