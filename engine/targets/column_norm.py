"""Mean column norm: what a settled layer gives, and how its threshold moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.layout import Array
from engine.registry import register
from engine.scopes.selecting import exact


@register("target", "column_norm")
@dataclass(frozen=True)
class ColumnNorm:
    """How far the dynamic method goes; when it acts is schedule `dynamic`.

    Attributes:
        tolerance: accuracy that may be lost; never taken finer than the noise of the validation set.
        alpha: first threshold of a layer, as a factor of its mean column norm.
        alpha_step: how much the factor rises.
        alpha_max: above it a layer is done.
        beta: largest share of a layer that goes at once.
    """

    tolerance: float = 0.005
    alpha: float = 0.5
    alpha_step: float = 0.1
    alpha_max: float = 2.5
    beta: float = 0.3

    def final(self) -> float | None:
        """None: it follows from the network."""
        return None

    def allowed(self, accuracy: float, validation: int) -> float:
        """`max(tolerance, sqrt(acc0 (1 - acc0) / n_val))`, the drop that is allowed."""
        return max(self.tolerance, math.sqrt(max(0.0, accuracy * (1 - accuracy)) / max(1, validation)))


def column_norms(matrix: Array, mask: Array | None = None) -> Array:
    """`c_j = ||W[..., j]||_2` over kept weights, of a kernel as `(fan_in, units)`; in float64."""
    kept = matrix if mask is None else matrix * mask
    norms: Array = np.sqrt(np.square(kept, dtype=np.float64).sum(axis=0))
    return norms


def fading_units(norms: Array, active: Array, *, alpha: float, beta: float, allowed: Array | None = None) -> Array:
    """The units that go: `c_j < alpha * mu`, smallest first, at most a share `beta` of the active ones, never all.

    Args:
        norms: `c_j` of all units.
        active: True where a unit is still there.
        alpha: the layer's threshold factor.
        beta: the layer's largest share.
        allowed: False where a unit may not go, however small; None allows all.

    Returns:
        Their indices, the smallest norm first; empty if none stands out.
    """
    alive = np.flatnonzero(active)
    if not alive.size:
        return alive
    order = alive[np.argsort(norms[alive], kind="stable")]
    below: Array = order[norms[order] < alpha * norms[alive].mean()]
    if allowed is not None:
        below = below[allowed[below]]
    return below[: min(math.floor(exact(beta) * alive.size), alive.size - 1)]


def fading_weights(matrix: Array, mask: Array, *, alpha: float, beta: float) -> Array:
    """The weights that go: `|w| < alpha * mu / sqrt(fan)`, smallest first, at most a share `beta` of the kept ones.

    `mu` is the mean norm of the columns that have kept weights, `fan` their mean number of kept weights.

    Args:
        matrix: the kernel as `(fan_in, units)`.
        mask: True where a weight is kept.
        alpha: the layer's threshold factor.
        beta: the layer's largest share.

    Returns:
        A bool matrix, True = goes.
    """
    counts = mask.sum(axis=0)
    active = counts > 0
    gone = np.zeros(mask.shape, dtype=bool)
    if not active.any():
        return gone
    mean = column_norms(matrix, mask)[active].mean()
    threshold = alpha * mean / math.sqrt(counts[active].mean())
    kept = np.flatnonzero(mask)
    sizes = np.abs(matrix.reshape(-1)[kept])
    order = np.argsort(sizes, kind="stable")
    below = order[sizes[order] < threshold][: math.floor(exact(beta) * kept.size)]
    gone.reshape(-1)[kept[below]] = True
    return gone
