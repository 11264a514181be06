"""Dynamic: a layer is pruned when its mean column norm has settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.registry import register


@register("schedule", "dynamic")
@dataclass(frozen=True)
class Dynamic:
    """When the dynamic method acts; what it then does is target `column_norm`.

    Attributes:
        patience: epochs without a gain in validation accuracy that end the dense phase.
        tau: largest relative change of a settled layer's mean column norm.
        max_wait: epochs after which the steadiest layer counts as settled.
        recovery: epochs a pruned state has to come back within tolerance.
    """

    patience: int = 3
    tau: float = 0.02
    max_wait: int = 5
    recovery: int = 3

    def settled(self, changes: Mapping[str, float], *, waited: int) -> list[str]:
        """The layers that may be pruned now.

        Args:
            changes: `|mu(t) - mu(t-1)| / mu(t-1)` of each layer that is not frozen.
            waited: epochs since the last event, this one included.
        """
        found = [key for key, change in changes.items() if change <= self.tau]
        if not found and changes and waited >= self.max_wait:
            return [min(changes, key=lambda key: changes[key])]
        return found


def change(mean: float, before: float) -> float:
    """`|mu(t) - mu(t-1)| / mu(t-1)`; 0 for a layer that has no weights left."""
    return abs(mean - before) / before if before else 0.0
