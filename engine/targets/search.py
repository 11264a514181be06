"""The search for the sparsity that a budget allows: halving between one that keeps it and one that does not."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Search:
    """A bisection as a value: `ask` for the next sparsity, `tell` whether it was good, until `done`.

    Attributes:
        low, high: the sparsities between which the answer lies; `low` is the side that is known to be good.
        trials: how many more may be tried.
        best: the best sparsity found to be good so far, or None.
        rising: True when small sparsities are good and the largest is sought (accuracy); False when large ones are good
            and the smallest is sought (FLOPs, size, latency).
        width: the search ends when the bounds are this close.
    """

    low: float = 0.0
    high: float = 1.0
    trials: int = 12
    best: float | None = None
    rising: bool = True
    width: float = 1e-4

    @property
    def done(self) -> bool:
        """Nothing more to try."""
        return self.trials <= 0 or abs(self.high - self.low) <= self.width

    def ask(self) -> float:
        """The sparsity to try next, with at most six decimals so that a person can type it."""
        return round((self.low + self.high) / 2, 6)

    def tell(self, *, good: bool) -> Search:
        """The search after the sparsity of `ask` was tried."""
        tried = self.ask()
        left = self.trials - 1
        if not good:
            return replace(self, high=tried, trials=left) if self.rising else replace(self, low=tried, trials=left)
        if self.rising:
            return replace(self, low=tried, best=tried, trials=left)
        return replace(self, high=tried, best=tried, trials=left)
