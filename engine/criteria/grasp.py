"""GraSP: keep what preserves the gradient flow."""

from __future__ import annotations

from dataclasses import dataclass

from engine.criteria.context import Arrays, Context
from engine.registry import register


@register("criterion", "grasp")
@dataclass(frozen=True)
class Grasp:
    """`S(w) = w * (H g)`, the authors' score with its sign turned (Wang, Zhang & Grosse 2020, eq. 8).

    Attributes:
        temperature: what the logits are divided by.
        per_class: samples of each class in the balanced batch that a run draws.
    """

    temperature: float = 200.0
    per_class: int = 10

    def score(self, context: Context) -> Arrays:
        """Signed scores in float64; the lowest go first (the authors remove the highest `-w * (H g)`)."""
        product = context.curvature(temperature=self.temperature)
        return {key: w * product[key] for key, w in context.weights().items()}
