"""Zeros where they are wanted, to time what they gain: the smallest magnitudes first, singly or in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def cut(kernel: Array, sparsity: float, *, block: int = 1) -> Array:
    """The kernel with that share of its blocks zero, the smallest mean magnitudes first.

    Args:
        kernel: `(..., in, out)`.
        sparsity: the share that goes.
        block: how many weights along the inputs go together; what does not fill a block stays.
    """
    rows = kernel.reshape(-1, kernel.shape[-1]).shape[0]
    return cut_blocks(kernel, int(sparsity * (rows // block) * kernel.shape[-1]), block=block)


def cut_blocks(kernel: Array, count: int, *, block: int) -> Array:
    """The kernel with so many blocks zero (see `cut`)."""
    flat = kernel.reshape(-1, kernel.shape[-1])
    whole, columns = flat.shape[0] // block * block, flat.shape[1]
    blocks = flat[:whole].reshape(whole // block, block, columns)
    keep = np.ones((whole // block) * columns, bool)
    keep[np.argsort(np.abs(blocks).mean(axis=1), axis=None, kind="stable")[:count]] = False
    made = flat.copy()
    made[:whole] = np.where(keep.reshape(-1, 1, columns), blocks, 0).reshape(whole, columns)
    return made.reshape(kernel.shape)
