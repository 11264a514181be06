"""Arrays as few bytes: where the non-zeros are, then their values plane by plane."""

from __future__ import annotations

import lzma
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_FILTER = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0}]


def coded_size(array: Array) -> int:
    """Bytes that the packed form of one array takes, its header left out."""
    flat = np.ascontiguousarray(array).reshape(-1)
    bits = flat.view(f"u{flat.itemsize}") if flat.dtype != bool else flat.view("u1")
    kept = bits != 0
    values = bits[kept]
    positions = 0 if kept.all() or not kept.any() else _squeezed(np.packbits(kept).tobytes())
    planes = values.view("u1").reshape(-1, flat.itemsize)
    return positions + sum(_squeezed(planes[:, i].tobytes()) for i in range(flat.itemsize))


def entropy(values: Array) -> float:
    """Order-0 entropy of bytes, in bits for all of them together."""
    counts = np.bincount(values.reshape(-1), minlength=256)
    counts = counts[counts > 0]
    return float(-(counts * np.log2(counts / counts.sum())).sum())


def _squeezed(raw: bytes) -> int:
    # Mantissas are noise: trying to squeeze them costs seconds and gains nothing.
    if entropy(np.frombuffer(raw, "u1")) > 7.97 * len(raw):
        return len(raw)
    return min(len(raw), len(lzma.compress(raw, format=lzma.FORMAT_RAW, filters=_FILTER)))
