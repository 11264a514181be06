"""Sensitivity: each layer is pruned alone, then all together by what each can lose."""

from __future__ import annotations

from dataclasses import dataclass

from engine.registry import register

SPARSITIES = (0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)


@register("schedule", "sensitivity")
@dataclass(frozen=True)
class Sensitivity:
    """When the shares of the layers are found out.

    Attributes:
        sparsities: at which each layer is tried alone.
    """

    sparsities: tuple[float, ...] = SPARSITIES
