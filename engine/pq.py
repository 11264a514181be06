"""The PQ Index, a measure of how compressible weights are, and one step of SAP (Diao et al., ICLR 2023)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from engine.errors import PruneError
from engine.layout import Array


def pq_index(weights: Any, p: float = 0.5, q: float = 1.0) -> float:
    """`I(w) = 1 - d^(1/q - 1/p) * ||w||_p / ||w||_q`, eq. 2.

    Larger means sparser and more compressible. It is 0 for a constant vector, and defined as 0 for an empty or all-zero
    one. Computed in float64 from power means of `|w| / max |w|`, so that no norm overflows.

    Args:
        weights: the unmasked entries, of any shape; d is their number.
        p: the lower norm, above 0.
        q: the upper norm, above p.

    Raises:
        PruneError: p and q are not 0 < p < q, or an entry is not finite.
    """
    return max(0.0, -math.expm1(log_spread(weights, p, q)))


def log_spread(weights: Any, p: float = 0.5, q: float = 1.0) -> float:
    """`log(1 - I)`, at most 0: at small p, I is so near to 1 that `1 - I` of the rounded index would be 0.

    Args:
        weights: the unmasked entries.
        p: the lower norm, above 0.
        q: the upper norm, above p.

    Raises:
        PruneError: p and q are not 0 < p < q, or an entry is not finite.
    """
    check(p, q)
    w = np.abs(np.asarray(weights, dtype=np.float64)).reshape(-1)
    largest = float(w.max()) if w.size else 0.0
    if not math.isfinite(largest):
        raise PruneError("the weights hold entries that are not finite", todo="The training may have diverged")
    if largest == 0:
        return 0.0
    u = w / largest
    # Logarithms: at small p the p-th root of a mean would underflow.
    return min(0.0, math.log(np.mean(u**p)) / p - math.log(np.mean(u**q)) / q)


def sap_keep(
    weights: Any, p: float = 0.5, q: float = 1.0, eta: float = 0.0, gamma: float = 1.0, beta: float = 0.9
) -> int:
    """How many of these weights one SAP step keeps.

    Retained bound `r = d (1 + eta)^(-q/(q-p)) (1 - I)^(pq/(q-p))`, `m = ceil(r)`; cut are
    `c = min(floor(gamma (d - m)), floor(beta d))`, never below 0, counted in exact arithmetic.

    Args:
        weights: the unmasked entries.
        p: the lower norm of the PQ Index.
        q: its upper norm.
        eta: slack of the bound, at least 0.
        gamma: scales what is cut.
        beta: largest share cut in one step.

    Raises:
        PruneError: a parameter is out of range, or an entry is not finite.
    """
    size = int(np.size(weights))
    return keep_bound(
        size, retained(size, log_spread(weights, p, q), p=p, q=q, eta=eta), p=p, q=q, gamma=gamma, beta=beta
    )


def bound(size: int, index: float, *, p: float = 0.5, q: float = 1.0, eta: float = 0.0) -> float:
    """The retained bound `r`: at least so many of `size` weights of this PQ Index are to be kept."""
    return retained(size, math.log1p(-index) if index < 1 else -math.inf, p=p, q=q, eta=eta)


def retained(size: int, spread: float, *, p: float = 0.5, q: float = 1.0, eta: float = 0.0) -> float:
    """The retained bound `r` from `log_spread`, which loses no digits where the index is near 1."""
    check(p, q)
    if not 0 <= eta < math.inf:
        raise PruneError(f"eta must be a number of at least 0, got {eta}")
    return size * math.exp((p * q * spread - q * math.log1p(eta)) / (q - p))


def keep_count(
    size: int, index: float, *, p: float = 0.5, q: float = 1.0, eta: float = 0.0, gamma: float = 1.0, beta: float = 0.9
) -> int:
    """`sap_keep` for weights whose number and PQ Index are known."""
    return keep_bound(size, bound(size, index, p=p, q=q, eta=eta), p=p, q=q, gamma=gamma, beta=beta)


def keep_bound(size: int, r: float, *, p: float, q: float, gamma: float = 1.0, beta: float = 0.9) -> int:
    """`sap_keep` for weights whose number and retained bound are known."""
    # k equal weights among zeros give r = k, up to rounding, which must not make that k + 1. No more slack than that:
    # of 10^6 weights, 1e-9 would move one count in a thousand.
    m = math.ceil(r - 1e-12 * max(1.0, r) * q / (q - p))
    m = max(m, min(size, 1))  # r is above 0 wherever there are weights, however far it lies under the smallest double
    cut = min(math.floor(_exact(gamma) * (size - m)), math.floor(_exact(beta) * size))
    return size - min(max(cut, 0), size)


def check(p: float, q: float) -> None:
    """Raises unless 0 < p < q.

    Raises:
        PruneError: they are not.
    """
    if not 0 < p < q < math.inf:
        raise PruneError(f"the PQ Index needs 0 < p < q, got p = {p} and q = {q}")


def _exact(number: float) -> Fraction:
    if not math.isfinite(number):
        raise PruneError(f"gamma and beta must be finite numbers, got {number}")
    return Fraction(str(number))


def entries(weights: Array, mask: Array | None) -> Array:
    """The unmasked entries as a vector."""
    return weights.reshape(-1) if mask is None else weights[np.asarray(mask, dtype=bool)]
