"""PQ Index: sparsity-informed adaptive pruning (SAP), one step after each round of training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from engine.errors import PruneError
from engine.granularity import matrix, unmatrix
from engine.layout import LAST, Array, Layout
from engine.pq import entries, keep_bound, log_spread, retained
from engine.registry import register
from engine.scopes.neuron import top
from engine.scopes.selecting import keep_highest

SHARE = Fraction(1, 5)
"""What the baselines cut of what is left, each round (Frankle & Carbin 2019)."""


@dataclass(frozen=True)
class Step:
    """What one SAP step found and did.

    Attributes:
        masks: True = kept.
        index: PQ Index by kernel key (at scope neuron the mean over columns), and of all kernels together as "".
        bounds: the retained bound r by kernel key, and in total as "".
        kept: weights kept by kernel key, and in total as "".
    """

    masks: dict[str, Array]
    index: dict[str, float]
    bounds: dict[str, float]
    kept: dict[str, int]


@register("target", "pq_index")
@dataclass(frozen=True)
class PqIndex:
    """Each round cuts what the PQ Index says the weights can lose (Diao et al. 2023, algorithm 1).

    Attributes:
        p, q: the norms, 0 < p < q.
        eta: slack of the retained bound.
        gamma: scales what is cut.
        beta: largest share cut in one round.
        rounds: T.
        baseline: `none` is SAP itself; `lottery` cuts `SHARE` of what is left each round, by the weights of that round,
            and `one_shot` the same amounts, by the weights of round 0.
    """

    p: float = 0.5
    q: float = 1.0
    eta: float = 0.0
    gamma: float = 1.0
    beta: float = 0.9
    rounds: int = 30
    baseline: str = "none"

    def final(self) -> float | None:
        """None: it follows from the weights."""
        return None

    def keep(self, size: int, bound: float) -> int:
        """How many of `size` weights stay; the baselines do not look at the retained bound, and never cut the last."""
        if self.baseline != "none":
            return min(size, max(1, size - math.ceil(SHARE * size)))
        return keep_bound(size, bound, p=self.p, q=self.q, gamma=self.gamma, beta=self.beta)

    def step(
        self,
        weights: Mapping[str, Array],
        masks: Mapping[str, Array] | None = None,
        *,
        scope: str = "global",
        layouts: Mapping[str, Layout] | None = None,
        ranked_by: Mapping[str, Array] | None = None,
    ) -> Step:
        """One SAP step: cuts the smallest |w| among the unmasked of each scope.

        Args:
            weights: trained kernels by key.
            masks: what is kept so far; None is all.
            scope: `global` (all kernels as one vector), `layer`, or `neuron` (each column on its own).
            layouts: how to read the kernels' axes.
            ranked_by: the trained kernels of round 0, by which the baseline `one_shot` ranks.

        Raises:
            PruneError: the scope is another one, or p and q are not 0 < p < q.
        """
        if scope not in ("global", "layer", "neuron"):
            raise PruneError(f"target pq_index has no scope {scope}", todo="Use global, layer or neuron")
        now = {
            k: np.asarray(masks[k], dtype=bool) if masks else np.ones(w.shape, dtype=bool) for k, w in weights.items()
        }
        own = {k: self._measure(entries(w, now[k])) for k, w in weights.items()}
        index = {k: m.index for k, m in own.items()}
        bounds = {k: m.bound for k, m in own.items()}
        whole = self._measure(np.concatenate([entries(w, now[k]) for k, w in weights.items()] or [np.empty(0)]))
        ranked = ranked_by if self.baseline == "one_shot" and ranked_by is not None else weights
        scores = {k: np.where(now[k], np.abs(ranked[k]), -np.inf) for k in weights}
        if scope == "global":
            chosen = dict(zip(scores, keep_highest(list(scores.values()), whole.keep), strict=True))
            bounds[""] = whole.bound
        elif scope == "layer":
            chosen = {k: keep_highest([s], own[k].keep)[0] for k, s in scores.items()}
            bounds[""] = sum(bounds.values())
        else:
            chosen = {}
            for key, w in weights.items():
                layout = (layouts or {}).get(key, LAST)
                found = self._columns(matrix(w, layout), matrix(now[key], layout), matrix(scores[key], layout))
                chosen[key] = unmatrix(found.mask, w.shape, layout)
                index[key], bounds[key] = found.index, found.bound
            bounds[""] = sum(bounds.values())
        index[""] = whole.index
        kept = {k: int(np.count_nonzero(m)) for k, m in chosen.items()}
        return Step(chosen, index, bounds, {**kept, "": sum(kept.values())})

    def _measure(self, vector: Array) -> _Measured:
        spread = log_spread(vector, self.p, self.q)
        bound = retained(vector.size, spread, p=self.p, q=self.q, eta=self.eta)
        return _Measured(max(0.0, -math.expm1(spread)), bound, self.keep(vector.size, bound))

    def _columns(self, weights: Array, mask: Array, scores: Array) -> _Column:
        measured = [self._measure(entries(w, m)) for w, m in zip(weights.T, mask.T, strict=True)]
        columns = [top(s, m.keep) for s, m in zip(scores.T, measured, strict=True)]
        alive = [m.index for m, k in zip(measured, mask.T, strict=True) if k.any()]
        return _Column(np.stack(columns, axis=1), _mean(alive), sum(m.bound for m in measured))


@dataclass(frozen=True)
class _Measured:
    index: float
    bound: float
    keep: int


@dataclass(frozen=True)
class _Column:
    mask: Array = field(repr=False)
    index: float
    bound: float


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
