"""The rules of the dynamic method (methods.md §2), pure: what a layer would give, and what it learns from that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from engine.layout import Array
from engine.targets.column_norm import ColumnNorm, fading_units, fading_weights

LEAST = 0.01
"""Single weights are only worth an event when at least this share of the layer's weights, dense, goes."""
FAILURES = 2


@dataclass(frozen=True)
class LayerRule:
    """What a layer has learnt so far.

    Attributes:
        alpha: threshold, as a factor of the mean column norm.
        beta: the largest share that goes at once.
        weights_only: its units have failed twice in a row (or cannot go): only single weights are asked for.
        failures: roll-backs in a row.
        frozen: it gives nothing any more.
    """

    alpha: float
    beta: float
    weights_only: bool = False
    failures: int = 0
    frozen: bool = False


@dataclass(frozen=True, eq=False)
class Columns:
    """A layer as the rules see it; BatchNorm that follows directly is folded in.

    Attributes:
        matrix: the kernel as `(fan_in, units)`.
        mask: the same shape, True where a weight is kept.
        norms: `c_j` over kept weights, `(units,)`.
        elsewhere: `(units,)`: where a unit is coupled with columns of other layers, the largest of their `c / mu`; 0
            where it is alone, and infinite where it cannot go.
        dense: the layer's weights before anything went, which a physically smaller kernel no longer shows; None where
            the kernel is whole.
    """

    matrix: Array
    mask: Array
    norms: Array
    elsewhere: Array
    dense: int | None = None

    @property
    def active(self) -> Array:
        """True where a column has kept weights."""
        return np.asarray(self.mask.any(axis=0))

    @property
    def kept(self) -> int:
        """Kept weights."""
        return int(np.count_nonzero(self.mask))

    @property
    def mean(self) -> float:
        """`mu`, the mean norm of the active columns; 0 where none is left."""
        return float(self.norms[self.active].mean()) if self.active.any() else 0.0


@dataclass(frozen=True, eq=False)
class Offer:
    """What a layer would give now.

    Attributes:
        kind: whole units, or single weights.
        units: the indices of the units that would go, smallest norm first; empty for weights.
        gone: `(fan_in, units)`, True where a weight would go.
        count: units, or weights, that would go.
        of: active columns, or kept weights, that there are.
        weights: weights that would go, whichever the kind.
    """

    kind: Literal["units", "weights"]
    units: Array
    gone: Array
    count: int
    of: int
    weights: int


def offer(columns: Columns, rule: LayerRule, target: ColumnNorm) -> tuple[LayerRule, Offer | None]:
    """What a layer gives at its threshold, which rises until there is something, or until the layer is frozen.

    Units go if any stands out, `c_j < alpha mu`; else single weights, `|w| < alpha mu / sqrt(fan)`, if they are at
    least 1 % of the layer. If neither, alpha rises by `alpha_step`; above `alpha_max` the layer is frozen.

    Returns:
        The layer's rule with the alpha that was needed, and the offer, or None for a frozen layer.
    """
    while not rule.frozen:
        found = None if rule.weights_only else _units(columns, rule)
        found = found or _weights(columns, rule)
        if found is not None:
            return rule, found
        rule = raised(rule, target)
    return rule, None


def raised(rule: LayerRule, target: ColumnNorm) -> LayerRule:
    """With the next alpha; above `alpha_max` the layer is frozen."""
    alpha = round(rule.alpha + target.alpha_step, 9)  # 0.5 + 0.1 + 0.1 + 0.1 is to be 0.8
    return replace(rule, alpha=alpha, frozen=alpha > target.alpha_max)


def accepted(rule: LayerRule, target: ColumnNorm) -> LayerRule:
    """After an event that recovered: alpha rises, and failures are forgotten."""
    return raised(replace(rule, failures=0), target)


def rolled_back(rule: LayerRule) -> LayerRule:
    """After one that did not: beta is halved; the second in a row leads to single weights, two more freeze."""
    rule = replace(rule, beta=rule.beta / 2, failures=rule.failures + 1)
    if rule.failures < FAILURES:
        return rule
    return replace(rule, frozen=True) if rule.weights_only else replace(rule, weights_only=True, failures=0)


def _units(columns: Columns, rule: LayerRule) -> Offer | None:
    active = columns.active
    units = fading_units(
        columns.norms, active, alpha=rule.alpha, beta=rule.beta, allowed=columns.elsewhere < rule.alpha
    )
    if not units.size:
        return None
    gone = np.zeros(columns.mask.shape, dtype=bool)
    gone[:, units] = columns.mask[:, units]
    return Offer("units", units, gone, int(units.size), int(np.count_nonzero(active)), int(np.count_nonzero(gone)))


def _weights(columns: Columns, rule: LayerRule) -> Offer | None:
    gone = fading_weights(columns.matrix, columns.mask, alpha=rule.alpha, beta=rule.beta)
    count = int(np.count_nonzero(gone))
    if count == 0 or count < LEAST * (columns.dense or columns.mask.size):
        return None
    return Offer("weights", np.empty(0, dtype=np.intp), gone, count, columns.kept, count)
