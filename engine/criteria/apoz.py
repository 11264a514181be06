"""APoZ: units that are zero on most inputs go first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.criteria.context import Arrays
from engine.criteria.unit_context import UnitContext
from engine.registry import register


@register("criterion", "apoz")
@dataclass(frozen=True)
class Apoz:
    """`S(unit) = 1 - share of zeros after the ReLU` over samples and positions (Hu et al. 2016, eq. 1).

    Attributes:
        samples: how many samples a run draws for it; labels are not needed.
    """

    samples: int | None = 512

    def units(self, context: UnitContext) -> Arrays:
        """The shares that are not zero, `(units,)`, by kernel key; kernels that no activation follows are skipped."""
        alive: Arrays = {}
        rows: dict[str, int] = {}
        for batch in context.activations(needed=True):
            for key, made in batch.items():
                alive[key] = alive.get(key, 0) + np.count_nonzero(made, axis=0)
                rows[key] = rows.get(key, 0) + len(made)
        return {key: count / rows[key] for key, count in alive.items()}
