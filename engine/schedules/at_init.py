"""At initialisation: once, before the first step."""

from __future__ import annotations

from dataclasses import dataclass

from engine.registry import register


@register("schedule", "at_init")
@dataclass(frozen=True)
class AtInit:
    """Prune the initial weights, then train what is left.

    Attributes:
        control: `shuffle` the mask inside each layer, `reinitialise` the weights under it, or `none`.
    """

    control: str = "none"

    def events(self, total_steps: int) -> tuple[int, ...]:
        """Step 0."""
        return (0,)

    def sparsity(self, step: int, total_steps: int, final: float) -> float:
        """The target, always."""
        return final
