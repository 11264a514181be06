"""What a run asks a target."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Target(Protocol):
    """Until when pruning goes on."""

    def final(self) -> float | None:
        """The sparsity to reach, where it is known in advance; None where the run has to find it."""


@runtime_checkable
class Budget(Target, Protocol):
    """A target that a search meets: the model with the largest sparsity (or the least change) that is within it."""

    @property
    def trials(self) -> int:
        """The most models that a search may try."""

    def within(self, dense: float, now: float) -> bool:
        """Whether a measured value keeps the budget, given the dense model's."""
