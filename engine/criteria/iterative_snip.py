"""Iterative SNIP: the pruned net is scored anew at each step, and what is gone stays gone."""

from __future__ import annotations

from dataclasses import dataclass

from engine.criteria.context import Arrays, Context
from engine.criteria.snip import Snip
from engine.registry import register


@register("criterion", "iterative_snip")
@dataclass(frozen=True)
class IterativeSnip:
    """SNIP's score in `iterations` steps of density `exp(t/T * ln rho)` (de Jorge et al. 2021).

    Attributes:
        iterations: T.
        samples: how many training samples a run draws for it.
    """

    iterations: int = 60
    samples: int | None = 128

    def score(self, context: Context) -> Arrays:
        """SNIP's score of the net under the context's masks."""
        return Snip().score(context)
