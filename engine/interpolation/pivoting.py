"""Which units the others can be made of: the pivots of a column-pivoted QR, and how many of them are needed."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from engine.interpolation.gathering import Array, Gathered, Gram, Triangle
from engine.interpolation.mixing import mixture

_SAFE = 1e-5  # |R[k,k]| / |R[0,0]| above which the triangular solve is used as it is


@dataclasses.dataclass(frozen=True, eq=False)
class Pivots:
    """The order in which pivoted QR takes the columns of Z, and what is left after each.

    Attributes:
        order: int `(n,)`, a permutation: the best unit first. Beyond the rank the rest comes in order of index.
        diagonal: float64 `(n,)`, `|R[k,k]|`, never rising; 0 beyond the rank.
        residual: float64 `(n + 1,)`: `||Z - Z[:, first k] T||_F / ||Z||_F` for k = 0..n.
        factor: float64 `(n, n)`: R, its columns in the order of `order`.
    """

    order: Array
    diagonal: Array
    residual: Array
    factor: Array

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.order)

    @property
    def ratios(self) -> Array:
        """`|R[k,k]| / |R[0,0]|`, `(n,)`; all 0 when Z is 0."""
        top = self.diagonal[0] if len(self.diagonal) else 0.0
        return self.diagonal / top if top > 0 else np.zeros(len(self.diagonal))

    def size(self, epsilon: float) -> int:
        """The smallest k with `|R[k,k]| / |R[0,0]| <= epsilon`, at least 1; n when there is none (methods.md §5)."""
        below = np.flatnonzero(self.ratios <= epsilon)
        return max(int(below[0]), 1) if len(below) else self.units

    def keep(self, k: int) -> Array:
        """The first k pivots, ascending."""
        return np.sort(self.order[:k])

    def mixture(self, gathered: Gathered, k: int) -> Array:
        """`T`, `(k, n)`, for the first k pivots, its rows in ascending order of unit: `[I_k, inv(R11) R12]`."""
        kept = self.keep(k)
        if k == 0 or gathered.ridge != 0 or self.ratios[k - 1] <= _SAFE:
            return mixture(gathered, kept)
        made = np.zeros((k, self.units))
        solved = linalg.solve_triangular(self.factor[:k, :k], self.factor[:k, k:], check_finite=False)
        row = np.argsort(self.order[:k])
        made[np.arange(k), kept] = 1.0
        made[:, self.order[k:]] = solved[row]
        return made


def pivots(gathered: Gathered) -> Pivots:
    """Column-pivoted QR of what was gathered.

    From a Gram matrix by pivoted Cholesky: the same greedy choice (the column with the largest residual norm), so the
    same pivots as `scipy.linalg.qr(Z, pivoting=True)` in exact arithmetic, for a fraction of the time.
    """
    n = gathered.units
    if isinstance(gathered, Triangle):
        upper, order = linalg.qr(gathered.triangle(), mode="r", pivoting=True, check_finite=False)
        upper = upper[:n]
        rank = min(len(upper), n)
        upper = np.vstack([upper, np.zeros((n - rank, n))])
    else:
        upper, order, rank = _cholesky(gathered.upper() if isinstance(gathered, Gram) else gathered.gram())
    diagonal = np.zeros(n)
    diagonal[:rank] = np.abs(np.diag(upper))[:rank]
    diagonal = np.minimum.accumulate(diagonal) if n else diagonal
    left = np.concatenate([np.cumsum(np.einsum("ij,ij->i", upper, upper)[::-1])[::-1], [0.0]])
    residual = np.sqrt(left / left[0]) if left[0] > 0 else np.zeros(n + 1)
    rank = int(np.count_nonzero(diagonal))
    behind = np.argsort(order[rank:])
    upper[:, rank:] = upper[:, rank:][:, behind]
    return Pivots(np.concatenate([order[:rank], order[rank:][behind]]).astype(np.int64), diagonal, residual, upper)


def _cholesky(gram: Array) -> tuple[Array, Array, int]:
    # LAPACK's own tolerance, n * eps * max, would stop at a relative |R[k,k]| of 1e-6; 0 goes on as long as anything
    # positive is left, which is right down to the rounding of the sum, about 1e-8.
    factored, order, rank, _ = lapack.dpstrf(gram, tol=0.0, lower=0)
    upper = np.triu(factored)
    upper[rank:] = 0.0
    return upper, np.asarray(order, np.int64) - 1, int(rank)
