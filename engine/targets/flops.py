"""A FLOPs budget: the smallest sparsity that keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.registry import register
from engine.targets.search import Search


@register("target", "flops")
@dataclass(frozen=True)
class Flops:
    """`min s` with `FLOPs(s) <= flops * FLOPs(dense)`.

    Attributes:
        flops: share of the dense model's FLOPs that may stay.
        trials: most models tried.
    """

    flops: float = 0.5
    trials: int = 12

    def final(self) -> float | None:
        """None: it is searched."""
        return None

    def within(self, dense: float, now: float) -> bool:
        """Whether FLOPs are within the share of the dense model's."""
        return now <= self.flops * dense

    def search(self) -> Search:
        """For the smallest sparsity."""
        return Search(trials=self.trials, rising=False)
