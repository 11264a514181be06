"""How removed units are mixed from the kept ones: least squares of Z on Z[:, keep], for any choice of kept units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from engine.interpolation.gathering import Array, Gathered, Halves, Triangle

RIDGES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_WELL = 1e-13  # reciprocal condition of a Gram matrix above which Cholesky loses nothing that matters


def mixture(gathered: Gathered, keep: Sequence[int] | Array) -> Array:
    """`T = argmin ||Z - Z[:, keep] T||_F`, of least norm where that is not unique; with a ridge where one is wanted.

    For the first k pivots this is `[I_k, pinv(R11) R12]` with its columns put back in order (Chee et al. 2022, §3).

    Args:
        gathered: the activations.
        keep: the kept units, in the order that T's rows shall have.

    Returns:
        float64 `(len(keep), units)`; `T[:, keep]` is the identity. Kept units that are 0 on all rows help nobody.
    """
    kept = np.asarray(keep, np.int64)
    rest = np.setdiff1d(np.arange(gathered.units), kept)
    made = np.zeros((len(kept), gathered.units))
    made[np.arange(len(kept)), kept] = 1.0
    if not len(rest) or not len(kept):
        return made
    if isinstance(gathered, Triangle):
        made[:, rest] = _from_triangle(gathered.triangle(), kept, rest, gathered.ridge or 0.0)
        return made
    gram = gathered.gram()
    alive = kept[gram[kept, kept] > 0]
    ridge = gathered.ridge
    if ridge is None:
        ridge = _checked(gathered, alive, rest) if isinstance(gathered, Halves) else 0.0
    rows = np.flatnonzero(gram[kept, kept] > 0)
    made[np.ix_(rows, rest)] = _solve(gram[np.ix_(alive, alive)], gram[np.ix_(alive, rest)], gathered.noise, ridge)
    return made


def error(gathered: Gathered, keep: Sequence[int] | Array, mixed: Array) -> float:
    """`||Z - Z[:, keep] T||_F / ||Z||_F` for the T of `mixture`, from what was gathered; 0 when Z is 0."""
    total = gathered.energy
    if total <= 0:
        return 0.0
    kept = np.asarray(keep, np.int64)
    rest = np.setdiff1d(np.arange(gathered.units), kept)
    made = mixed[:, rest]
    if isinstance(gathered, Triangle):
        upper = gathered.triangle()
        return float(np.linalg.norm(upper[:, rest] - upper[:, kept] @ made) / np.sqrt(total))
    # In full, also where what is fitted and what is left are orthogonal, so that ||Z||^2 - <Z, Z_keep T> would do: that
    # is as wrong as T is, this only as wrong as its square.
    gram = gathered.gram()
    crossed = float(np.einsum("ij,ij->", gram[np.ix_(kept, rest)], made))
    inner = float(np.einsum("ij,ij->", gram[np.ix_(kept, kept)] @ made, made))
    left = float(np.diag(gram)[rest].sum()) - 2 * crossed + inner
    return float(np.sqrt(max(left, 0.0) / total))


def _checked(gathered: Halves, kept: Array, rest: Array) -> float:
    """The ridge with which each half of the rows predicts the other best; 0 where none is better."""
    grams = [half.gram() for half in gathered.halves]
    best, least = 0.0, np.inf
    for ridge in RIDGES:
        missed = 0.0
        for fit, check in (grams, grams[::-1]):
            mixed = _solve(fit[np.ix_(kept, kept)], fit[np.ix_(kept, rest)], gathered.noise, ridge)
            cross = np.einsum("ij,ij->", check[np.ix_(kept, rest)], mixed)
            inner = np.einsum("ij,ij->", check[np.ix_(kept, kept)] @ mixed, mixed)
            missed += float(np.trace(check[np.ix_(rest, rest)]) - 2 * cross + inner)
        # Differences below rounding are none: exact dependence must stay exact.
        if missed < least - 1e-9 * float(np.trace(grams[0][np.ix_(rest, rest)])):
            best, least = ridge, missed
    return best


def _from_triangle(upper: Array, kept: Array, rest: Array, ridge: float) -> Array:
    left, right = upper[:, kept], upper[:, rest]
    if ridge > 0:
        scale = np.sqrt(ridge * np.square(left).sum() / len(kept))
        left = np.vstack([left, scale * np.eye(len(kept))])
        right = np.vstack([right, np.zeros((len(kept), len(rest)))])
    return np.asarray(linalg.lstsq(left, right, check_finite=False)[0])


def _solve(left: Array, right: Array, noise: float, ridge: float) -> Array:
    """Solves the normal equations, equilibrated by the diagonal."""
    if not len(left):
        return np.zeros_like(right)
    if ridge > 0:
        left = left + ridge * np.diag(left).mean() * np.eye(len(left))
    if not np.diag(left).min() > 0:
        return _least_norm(left, right)
    diagonal = np.diag(left)
    scale = 1 / np.sqrt(diagonal)
    balanced = left * scale[:, None] * scale[None, :]
    # Z itself is rounded: without this (of the size of that rounding squared) T would fit the rounding errors with huge
    # coefficients, which other inputs then pay for. In float64 it is 0.
    balanced[np.diag_indices_from(balanced)] += noise**2
    factor, info = lapack.dpotrf(np.asfortranarray(balanced), lower=0, clean=1)
    if info == 0:
        norm = float(np.abs(balanced).sum(axis=0).max())
        if lapack.dpocon(factor, norm)[0] > _WELL:
            solved = lapack.dpotrs(factor, np.asfortranarray(right * scale[:, None]), lower=0)[0]
            return np.asarray(solved * scale[:, None])
    return _least_norm(left, right)


def _least_norm(left: Array, right: Array) -> Array:
    """For kept units that depend on each other: least norm in Z's own scale, as the pseudo-inverse of R11 gives it."""
    values, vectors = linalg.eigh(left, check_finite=False)
    good = values > len(values) * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    basis = vectors[:, good]

    def solved(wanted: Array) -> Array:
        return np.asarray(basis @ ((basis.T @ wanted) / values[good][:, None]))

    made = solved(right)
    return made + solved(right - left @ made)  # units of very different scales lose digits in one pass
