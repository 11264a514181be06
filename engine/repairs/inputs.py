"""Unlabelled inputs from whatever a user has at hand: arrays, `(x, y)`, a dataset, or batches one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.errors import DataError


def input_batches(data: Any, *, rows: int) -> Iterator[Any]:
    """The inputs alone, a batch at a time; labels are never looked at.

    Args:
        data: an array; a list or dict of arrays for models with several inputs; `(x,)`, `(x, y)` or
            `(x, y, weights)`; a `tf.data.Dataset` of batches; or an iterator over batches of inputs.
        rows: rows a batch where the data is arrays (the last one may be shorter).

    Raises:
        DataError: it is none of these, or holds no row.
    """
    if hasattr(data, "element_spec"):
        for element in data:
            yield element[0] if isinstance(element, tuple) else element
        return
    if hasattr(data, "__next__"):
        yield from data
        return
    x = data[0] if isinstance(data, tuple) and data else data
    leaves = _leaves(x)
    if not leaves or any(not hasattr(leaf, "shape") or len(leaf.shape) == 0 for leaf in leaves):
        raise DataError(
            f"inputs are needed, not {type(data).__name__}",
            todo="Pass an array, (x, y) or a tf.data.Dataset of batches",
        )
    count = int(leaves[0].shape[0])
    if count == 0 or any(int(leaf.shape[0]) != count for leaf in leaves):
        raise DataError("the inputs hold no rows" if count == 0 else "the inputs have different numbers of rows")
    for start in range(0, count, rows):
        yield _cut(x, start, start + rows)


def count_rows(batch: Any) -> int:
    """How many rows a batch of inputs has."""
    return int(_leaves(batch)[0].shape[0])


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, dict):
        return [leaf for value in x.values() for leaf in _leaves(value)]
    if isinstance(x, list | tuple):
        return [leaf for value in x for leaf in _leaves(value)]
    return [x]


def _cut(x: Any, start: int, stop: int) -> Any:
    if isinstance(x, dict):
        return {k: _cut(v, start, stop) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return [_cut(v, start, stop) for v in x]
    return np.asarray(x[start:stop])
