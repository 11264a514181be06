"""The data to score on: arrays or a dataset, as batches, in one form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.errors import DataError
from engine.layout import Array

CHUNK = 256  # samples that go through a network at once; sums over chunks are exact, so only memory depends on it


@dataclass(frozen=True)
class Batch:
    """Inputs (any structure of arrays) and labels, or None."""

    x: Any
    y: Any

    @property
    def size(self) -> int:
        """How many samples it holds."""
        return int(keras.tree.flatten(self.x)[0].shape[0])

    def cut(self, start: int, stop: int) -> Batch:
        """Some of its samples."""
        return Batch(
            keras.tree.map_structure(lambda a: a[start:stop], self.x),
            None if self.y is None else keras.tree.map_structure(lambda a: a[start:stop], self.y),
        )

    def chunks(self, size: int = CHUNK) -> Iterator[Batch]:
        """The batch in pieces of at most `size` samples."""
        if self.size <= size:
            yield self
            return
        for start in range(0, self.size, size):
            yield self.cut(start, start + size)


@dataclass(frozen=True)
class Samples:
    """All batches, in memory."""

    batches: tuple[Batch, ...]

    @property
    def size(self) -> int:
        """How many samples there are."""
        return sum(b.size for b in self.batches)

    def whole(self) -> Batch:
        """All samples as one batch."""
        if len(self.batches) == 1:
            return self.batches[0]
        first = self.batches[0]

        def together(*arrays: Array) -> Array:
            return np.concatenate(arrays)

        x = keras.tree.map_structure(together, *(b.x for b in self.batches))
        y = None if first.y is None else keras.tree.map_structure(together, *(b.y for b in self.batches))
        return Batch(x, y)

    def rebatched(self, size: int | None) -> Iterator[Batch]:
        """In batches of `size` samples, or as they came."""
        if size is None:
            yield from self.batches
        else:
            yield from self.whole().chunks(size)


def samples(data: Any) -> Samples | None:
    """Data as a user gives it: None, `(x, y)`, `x`, or an iterable of batches (a `tf.data.Dataset`).

    Raises:
        DataError: there is no sample in it, it has no end, or x and y differ in length.
    """
    if data is None or isinstance(data, Samples):
        return data
    if isinstance(data, tuple):
        batches = [_batch(data)]
    elif isinstance(data, dict | list) or hasattr(data, "shape"):
        batches = [_batch((data,))]
    elif hasattr(data, "cardinality") and int(data.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise DataError("the dataset to score on has no end", todo="Give it one: dataset.take(batches)")
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        rows = [data[i] for i in range(len(data))]  # a keras.utils.PyDataset
        batches = [_batch(b if isinstance(b, tuple) else (b,)) for b in rows]
    else:
        batches = [_batch(b if isinstance(b, tuple) else (b,)) for b in data]
    batches = [b for b in batches if b.size]
    if not batches:
        raise DataError("the data to score on holds no sample")
    return Samples(tuple(batches))


def _batch(row: tuple[Any, ...]) -> Batch:
    x = _arrays(row[0])
    y = _arrays(row[1]) if len(row) > 1 and row[1] is not None else None
    batch = Batch(x, y)
    lengths = {a.shape[0] if a.ndim else 0 for a in keras.tree.flatten((x, y)) if a is not None}
    if len(lengths) != 1:
        raise DataError(
            f"inputs and labels differ in length: {sorted(lengths)}",
            todo="Give (x, y) with a row a sample; a dataset must be batched: dataset.batch(128)",
        )
    return batch


def _arrays(value: Any) -> Any:
    """Arrays in their structure; a plain list of numbers is one array, not as many."""
    if isinstance(value, list | tuple) and all(np.ndim(v) == 0 for v in value):
        return np.asarray(value)
    return keras.tree.map_structure(np.asarray, value)
