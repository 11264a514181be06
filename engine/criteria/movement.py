"""Movement: keep what training moves away from zero."""

from __future__ import annotations

from dataclasses import dataclass

from engine.criteria.context import Array, Arrays, Context
from engine.registry import register


@register("criterion", "movement")
@dataclass(frozen=True)
class Movement:
    """`S(w) = - sum over steps of w * dL/dw` (Sanh, Wolf & Rush 2020, eq. 5); signed.

    A run adds up `step` over the updates of training. Scored on data alone, it is the first such step.

    Attributes:
        samples: how many training samples a run draws when it has no steps yet.
    """

    samples: int | None = 512

    def score(self, context: Context) -> Arrays:
        """The first step's score, from the gradient over all samples."""
        gradient = context.gradient()
        return {key: self.step(w, gradient[key]) for key, w in context.weights().items()}

    @staticmethod
    def step(weight: Array, gradient: Array) -> Array:
        """What one update adds to the score: positive where gradient descent makes the weight larger in size."""
        return -(weight * gradient)
