"""What a sensitivity table says: how far each layer can go, for a drop that is allowed or a total that is wanted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

import msgspec

Row = Mapping[float, float]


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """Each layer pruned alone.

    Attributes:
        metric: the name of what was judged; `direction` says whether more (`max`) or less (`min`) is better.
        dense: its value for the whole model.
        table: by layer, the value at each sparsity. Layers are kernel keys, or layer keys where units are pruned.
        sizes: by layer, how many pieces (weights, or units) there are.
        skipped: why a layer is not in the table.
    """

    metric: str
    direction: str
    dense: float
    table: dict[str, dict[float, float]]
    sizes: dict[str, int]
    skipped: dict[str, str] = {}

    def lost(self, value: float) -> float:
        """How much worse a value is than the dense model's; below 0 where it is better."""
        return self.dense - value if self.direction == "max" else value - self.dense

    def shares(self, drop: float) -> dict[str, float]:
        """By layer, the largest sparsity up to which it loses at most `drop` when pruned alone."""
        return {key: _largest({s: self.lost(v) for s, v in row.items()}, drop) for key, row in self.table.items()}

    def shares_for(self, sparsity: float) -> dict[str, float]:
        """By layer, sparsities whose total is this one, all layers at the same loss as far as the table tells.

        Between the table's points the curves are straight; each curve is made monotone first, and reaches an infinite
        loss at sparsity 1. A drop is searched by halving at which the shares add up.
        """
        curves = {key: _curve({s: self.lost(v) for s, v in row.items()}) for key, row in self.table.items()}
        low, high = 0.0, max((drop for curve in curves.values() for _, drop in curve), default=0.0) + 1e-9
        shares = dict.fromkeys(curves, 0.0)
        for _ in range(60):
            drop = (low + high) / 2
            shares = {key: _at(curve, drop) for key, curve in curves.items()}
            if self.total(shares) < sparsity:
                low = drop
            else:
                high = drop
        return self._stretched({key: _at(curve, high) for key, curve in curves.items()}, sparsity)

    def total(self, shares: Mapping[str, float]) -> float:
        """The sparsity of all layers together."""
        whole = sum(self.sizes[key] for key in shares)
        return sum(self.sizes[key] * share for key, share in shares.items()) / whole if whole else 0.0

    def _stretched(self, shares: dict[str, float], sparsity: float) -> dict[str, float]:
        # Where the table jumps, or ends, the total is a little off: what is kept (or cut) is scaled to fit.
        total = self.total(shares)
        if total > sparsity:
            return {key: share * sparsity / total for key, share in shares.items()}
        if total < sparsity:
            factor = (1 - sparsity) / (1 - total)
            return {key: 1 - (1 - share) * factor for key, share in shares.items()}
        return shares


def per_layer(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares as a recipe holds them: four decimals, rounded down, so that no layer loses more than it can bear."""
    return {key: math.floor(Fraction(str(share)) * 10_000) / 10_000 for key, share in shares.items()}


def fragment(shares: Mapping[str, float]) -> dict[str, Any]:
    """The part of a recipe that prunes each layer by its share."""
    return {"scope": {"name": "layer", "per_layer": per_layer(shares)}}


def _largest(lost: Row, drop: float) -> float:
    best = 0.0
    for sparsity in sorted(lost):
        if lost[sparsity] > drop + 1e-12:
            break
        best = sparsity
    return best


def _curve(lost: Row) -> list[tuple[float, float]]:
    worst, made = 0.0, [(0.0, 0.0)]
    for sparsity in sorted(lost):
        worst = max(worst, lost[sparsity] if math.isfinite(lost[sparsity]) else worst)
        if sparsity > 0:
            made.append((sparsity, worst))
    return made


def _at(curve: list[tuple[float, float]], drop: float) -> float:
    """The largest sparsity of a rising curve that loses at most `drop`."""
    best = 0.0
    for (s, a), (t, b) in pairwise(curve):
        if b <= drop:
            best = t
        elif a <= drop:
            return s + (t - s) * (drop - a) / (b - a)
        else:
            break
    return best
