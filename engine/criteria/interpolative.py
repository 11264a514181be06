"""Interpolative decomposition: the units from which the others can be made are worth most (methods.md §5)."""

from __future__ import annotations

from dataclasses import dataclass

from engine.criteria.context import Arrays
from engine.criteria.unit_context import UnitContext
from engine.registry import register


@register("criterion", "interpolative")
@dataclass(frozen=True)
class Interpolative:
    """`S(unit) = |R[k,k]| / |R[0,0]|`, k the unit's place among the pivots of `Z P = Q R` (Chee et al. 2022, §3).

    Z is what the units' readers read, on unlabelled inputs. The score is the relative error that its layer would be
    at if it kept only the pivots before this unit, so it compares across layers as well.

    Attributes:
        samples: how many samples a run draws for it; labels are not needed.
    """

    samples: int | None = 1024

    def units(self, context: UnitContext) -> Arrays:
        """`(units,)` by layer key, never rising from pivot to pivot."""
        return context.pivots()
