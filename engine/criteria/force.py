"""FORCE: foresight connection sensitivity; a weight that was cut may come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engine.criteria.context import Arrays, Context
from engine.registry import register


@register("criterion", "force")
@dataclass(frozen=True)
class Force:
    """`S(w) = |w_dense * g(masked net)|` in steps of density `exp(t/T * ln rho)` (de Jorge et al. 2021, eq. 6).

    Attributes:
        iterations: T.
        samples: how many training samples a run draws for it.
        revives: what a step cut, a later step may keep.
    """

    iterations: int = 60
    samples: int | None = 128
    revives: ClassVar[bool] = True

    def score(self, context: Context) -> Arrays:
        """Dense weights times the gradients of the masked net."""
        gradient = context.gradient()
        return {key: np.abs(w * gradient[key]) for key, w in context.dense().items()}
