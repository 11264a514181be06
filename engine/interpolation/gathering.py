"""What is kept of the activations Z while they stream by: their Gram matrix, or the R of their QR decomposition.

Neither grows with the number of rows: 2048 units take 32 MiB whatever the data. The Gram matrix is summed in float64:
in float32 the pivots of a spectrum that falls to 1e-8 stop being right where it passes 1e-4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg
from scipy.linalg import blas

from engine.errors import DataError

Array = np.ndarray[Any, Any]
_CHUNK = 1 << 22  # elements that are converted to float64 at once: 32 MiB


class Gathered:
    """Sums up the rows of Z, block by block.

    Attributes:
        units: columns of Z.
        rows: rows seen.
        noise: rounding error of Z's own number format, relative (2^-24 for float32); what lies below it is no signal.
        ridge: what the least squares add to the diagonal, as a share of the mean square of a kept unit; None: as
            cross-validation says (`Halves`).
    """

    def __init__(self, units: int, *, ridge: float | None = 0.0) -> None:
        self.units, self.rows, self.noise, self.ridge = units, 0, 0.0, ridge

    def add(self, block: Array) -> None:
        """Takes in rows `(m, units)` of any floating format; nothing of the block is kept.

        Raises:
            DataError: the block has another width, or holds values that are not finite.
        """
        if block.ndim != 2 or block.shape[1] != self.units:
            raise DataError(f"a block of activations has shape {block.shape}; expected (rows, {self.units})")
        if block.dtype.kind == "f" and block.dtype.itemsize < 8:
            self.noise = max(self.noise, float(np.finfo(block.dtype).eps) / 2)
        step = max(1, _CHUNK // max(self.units, 1))
        for start in range(0, len(block), step):
            self._take(np.ascontiguousarray(block[start : start + step], np.float64))
        self.rows += len(block)

    def _take(self, rows: Array) -> None:
        raise TypeError("add rows to a Gram or a Triangle")

    def gram(self) -> Array:
        """`Z^T Z`, float64 `(units, units)`, both triangles; do not write to it."""
        raise TypeError("a Gram or a Triangle knows it")

    @property
    def energy(self) -> float:
        """`||Z||_F^2`."""
        return float(np.trace(self.gram()))


class Gram(Gathered):
    """Keeps `Z^T Z` (one symmetric rank update a block: half the work of a full product)."""

    def __init__(self, units: int, *, ridge: float | None = 0.0) -> None:
        super().__init__(units, ridge=ridge)
        self._sum = np.zeros((units, units), order="F")
        self._full: Array | None = None

    def _take(self, rows: Array) -> None:
        # rows.T is in Fortran order without a copy; the upper triangle of rows^T rows is added in place.
        self._full = None
        self._sum = blas.dsyrk(1.0, rows.T, beta=1.0, c=self._sum, lower=0, overwrite_c=1)

    def upper(self) -> Array:
        """The upper triangle of `Z^T Z` in Fortran order (what is below it means nothing); do not write to it."""
        if not np.isfinite(np.diag(self._sum)).all():  # a value that is not finite reaches its column's own square
            raise DataError("the activations hold values that are not finite", todo="Check the weights and the inputs")
        return self._sum

    def gram(self) -> Array:
        """`Z^T Z`, checked to be finite."""
        if self._full is None:
            half = np.triu(self.upper())
            full = half + half.T
            full[np.diag_indices(self.units)] *= 0.5
            self._full = full
        return self._full

    def include(self, gram: Array) -> None:
        """Adds another Gram matrix."""
        self._full = None
        self._sum += gram

    @property
    def energy(self) -> float:
        """`||Z||_F^2`."""
        return float(np.trace(self.upper()))


class Halves(Gathered):
    """Two Gram matrices, of the first and of the second half of every block: what one fits, the other can check."""

    def __init__(self, units: int, *, ridge: float | None = None) -> None:
        super().__init__(units, ridge=ridge)
        self.halves = Gram(units), Gram(units)

    def add(self, block: Array) -> None:
        """Takes in rows, half of them on each side."""
        middle = (len(block) + 1) // 2
        for half, rows in zip(self.halves, (block[:middle], block[middle:]), strict=True):
            half.add(rows)
        self.rows += len(block)
        self.noise = max(h.noise for h in self.halves)

    def gram(self) -> Array:
        """The sum of both."""
        return self.halves[0].gram() + self.halves[1].gram()


class Triangle(Gathered):
    """Keeps the R of `Z = Q R` by rows: QR of R and the next block, one under the other (TSQR).

    Twice to ten times the work of a Gram matrix, but without squaring the condition: pivots are right down to 1e-15.
    """

    def __init__(self, units: int, *, ridge: float | None = 0.0) -> None:
        super().__init__(units, ridge=ridge)
        self._r = np.zeros((0, units))

    def _take(self, rows: Array) -> None:
        if not np.isfinite(rows).all():
            raise DataError("the activations hold values that are not finite", todo="Check the weights and the inputs")
        stacked = np.asfortranarray(np.vstack([self._r, rows]))
        factored = linalg.qr(stacked, mode="r", overwrite_a=True, check_finite=False)[0]
        self._r = factored[: self.units]

    def triangle(self) -> Array:
        """R, `(min(rows, units), units)`, upper triangular."""
        return self._r

    def gram(self) -> Array:
        """`R^T R = Z^T Z`."""
        full: Array = self._r.T @ self._r
        return full
