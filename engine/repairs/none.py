"""No repair: the pruned model as it is."""

from __future__ import annotations

from dataclasses import dataclass

from engine.registry import register


@register("repair", "none")
@dataclass(frozen=True)
class NoRepair:
    """Changes nothing."""
