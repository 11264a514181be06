"""How removed units are mixed from the kept ones: least squares of Z on Z[:, keep], for any choice of kept units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from engine.interpolation.gathering import Array, Gathered, Triangle

_WELL = 1e-13  # reciprocal condition of a Gram matrix above which Cholesky loses nothing that matters


def mixture(gathered: Gathered, keep: Sequence[int] | Array) -> Array:
    """`T = argmin ||Z - Z[:, keep] T||_F`, of least norm where that is not unique.

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
        upper = gathered.triangle()
        made[:, rest] = linalg.lstsq(upper[:, kept], upper[:, rest], check_finite=False)[0]
        return made
    gram = gathered.gram()
    alive = np.flatnonzero(gram[kept, kept] > 0)
    made[np.ix_(alive, rest)] = _solve(
        gram[np.ix_(kept[alive], kept[alive])], gram[np.ix_(kept[alive], rest)], gathered
    )
    return made


def error(gathered: Gathered, keep: Sequence[int] | Array, mixed: Array) -> float:
    """`||Z - Z[:, keep] T||_F / ||Z||_F` for the T of `mixture`, from what was gathered; 0 when Z is 0."""
    total = gathered.energy
    if total <= 0:
        return 0.0
    # What is fitted and what is left are orthogonal at the least squares: ||Z||^2 - <Z, Z_keep T>.
    explained = float(np.einsum("ij,ij->", gathered.gram()[np.asarray(keep, np.int64)], mixed))
    return float(np.sqrt(max(total - explained, 0.0) / total))


def _solve(left: Array, right: Array, gathered: Gathered) -> Array:
    """Solves the normal equations, equilibrated by the diagonal."""
    if not len(left):
        return np.zeros_like(right)
    diagonal = np.diag(left)
    scale = 1 / np.sqrt(diagonal)
    balanced = left * scale[:, None] * scale[None, :]
    # Z itself is rounded: without this (of the size of that rounding squared) T would fit the rounding errors with huge
    # coefficients, which other inputs then pay for. In float64 it is 0.
    balanced[np.diag_indices_from(balanced)] += gathered.noise**2
    factor, info = lapack.dpotrf(np.asfortranarray(balanced), lower=0, clean=1)
    if info == 0:
        norm = float(np.abs(balanced).sum(axis=0).max())
        if lapack.dpocon(factor, norm)[0] > _WELL:
            solved = lapack.dpotrs(factor, np.asfortranarray(right * scale[:, None]), lower=0)[0]
            return np.asarray(solved * scale[:, None])
    # Kept units that depend on each other: least norm, in Z's own scale, as the pseudo-inverse of R11 gives it.
    values, vectors = linalg.eigh(left, check_finite=False)
    good = values > len(values) * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    basis = vectors[:, good]
    return np.asarray(basis @ ((basis.T @ right) / values[good][:, None]))
