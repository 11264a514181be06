"""What surgery knows of a tensor: for each axis, which removable channel every index belongs to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Shape = tuple[int | None, ...]

# The label of what can never go: the model's inputs, what comes out of an operation without a rule.
FIXED = 0


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Axis:
    """One axis of a tensor whose indices can be removed.

    Attributes:
        labels: int array `(dim,)`: the channel of each index. Equal labels go together; `FIXED` stays.
        const: float array `(dim,)`: the one value that everything at this index has, whatever the model's input, or NaN
            where that is not known. None: nothing is known.
    """

    labels: Array
    const: Array | None = None

    def take(self, index: Array) -> Axis:
        """The axis with these of its indices, in this order."""
        return Axis(self.labels[index], None if self.const is None else self.const[index])

    def with_const(self, const: Array | None) -> Axis:
        """The same channels with other constants."""
        return Axis(self.labels, const)


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Flow:
    """A tensor on its way through the graph.

    Attributes:
        shape: as Keras knows it, batch first; None where it is dynamic.
        axes: one entry an axis; None where no index can go.
    """

    shape: Shape
    axes: tuple[Axis | None, ...]

    @property
    def rank(self) -> int:
        """How many axes there are, the batch's included."""
        return len(self.shape)

    def axis(self, number: int) -> Axis | None:
        """The axis of that number; negative numbers count from the end."""
        return self.axes[number]

    def put(self, number: int, axis: Axis | None, *, dim: int | None) -> Flow:
        """The same tensor with another axis in that place."""
        shape, axes = list(self.shape), list(self.axes)
        shape[number], axes[number] = dim, axis
        return Flow(tuple(shape), tuple(axes))

    def labelled(self) -> list[int]:
        """The numbers of the axes that have removable indices."""
        return [i for i, a in enumerate(self.axes) if a is not None]


def untracked(shape: Sequence[int | None]) -> Flow:
    """A tensor of that shape of which nothing can go."""
    return Flow(tuple(shape), (None,) * len(shape))


def joined(parts: Sequence[tuple[Axis | None, int]]) -> Axis | None:
    """Axes one after the other (Concatenate); each comes with its length, for those that are None."""
    if all(axis is None for axis, _ in parts):
        return None
    labels = [np.full(n, FIXED, np.int32) if axis is None else axis.labels for axis, n in parts]
    const = None
    if any(axis is not None and axis.const is not None for axis, _ in parts):
        const = np.concatenate(
            [np.full(n, np.nan) if axis is None or axis.const is None else axis.const for axis, n in parts]
        )
    return Axis(np.concatenate(labels), const)


def blocks(source: Sequence[int], target: Sequence[int]) -> list[tuple[range, range]]:
    """The smallest runs of axes with equal sizes that a reshape maps onto each other.

    `(4, 6, 5)` to `(24, 5)` is `[(0..2, 0..1), (2..3, 1..2)]`. Both must have the same number of elements.
    """
    found: list[tuple[range, range]] = []
    i = j = 0
    while i < len(source) or j < len(target):
        i0, j0 = i, j
        left = source[i] if i < len(source) else 1
        right = target[j] if j < len(target) else 1
        i, j = min(i + 1, len(source)), min(j + 1, len(target))
        while left != right:
            if left < right:
                left *= source[i]
                i += 1
            else:
                right *= target[j]
                j += 1
        found.append((range(i0, i), range(j0, j)))
    return found


def spread(axis: Axis, position: int, dims: Sequence[int], target: Sequence[int]) -> tuple[Array, list[int]]:
    """Where the indices of one axis of a block land when the block `dims` becomes `target`.

    Returns:
        The source index at every element of the new block (an array of shape `target`), and the new axes along which it
        changes.
    """
    shape = [1] * len(dims)
    shape[position] = dims[position]
    index = np.broadcast_to(np.arange(dims[position]).reshape(shape), tuple(dims)).reshape(tuple(target))
    varies = [a for a in range(len(target)) if target[a] > 1 and bool((index != index.take([0], axis=a)).any())]
    return index, varies


def size(shape: Sequence[int | None]) -> int:
    """The number of elements, a dynamic axis counted as one."""
    return math.prod(1 if n is None else int(n) for n in shape)
