"""A latency budget, measured: the smallest sparsity that keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.registry import register
from engine.targets.search import Search


@register("target", "latency")
@dataclass(frozen=True)
class Latency:
    """`min s` with `time(s) <= latency * time(dense)`.

    Attributes:
        latency: share of the dense model's milliseconds that may stay.
        batch_size: examples a timed call.
        trials: most models tried.
    """

    latency: float = 0.5
    batch_size: int = 1
    trials: int = 12

    def final(self) -> float | None:
        """None: it is searched."""
        return None

    def within(self, dense: float, now: float) -> bool:
        """Whether milliseconds are within the share of the dense model's."""
        return now <= self.latency * dense

    def search(self) -> Search:
        """For the smallest sparsity."""
        return Search(trials=self.trials, rising=False)
