"""One shot: once, after the last step."""

from __future__ import annotations

from dataclasses import dataclass

from engine.registry import register


@register("schedule", "one_shot")
@dataclass(frozen=True)
class OneShot:
    """Train, prune once, then repair."""

    def events(self, total_steps: int) -> tuple[int, ...]:
        """The last step."""
        return (total_steps,)

    def sparsity(self, step: int, total_steps: int, final: float) -> float:
        """The target from the last step on."""
        return final if step >= total_steps else 0.0
