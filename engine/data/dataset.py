"""A data set as every run sees it: arrays in memory, in three fixed parts."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np

from engine.errors import DataError

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test arrays. Choices are made on validation; test is for the report only.

    Attributes:
        name: the catalog's name.
        x_train, x_val, x_test: float32, `(n, *input_shape)`, images channels last.
        y_train, y_val, y_test: int32 `(n,)` class numbers, or float32 targets where `classes` is 0.
        classes: how many classes; 0 means regression.
        class_names: their names, in order; () where they are only numbers.
        scaling: what was done to the raw values, in words.
        source: where the data was found.
        flip, shift: the augmentation asked for (see `engine.data.augmentation`).
    """

    name: str
    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array
    x_test: Array
    y_test: Array
    classes: int
    class_names: tuple[str, ...] = ()
    scaling: str = ""
    source: str = ""
    flip: bool = False
    shift: int = 0

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.x_train.shape[1:])

    @property
    def outputs(self) -> int:
        """Units of the last layer of a model for this data: its classes, or the targets of one example."""
        return self.classes or int(np.prod(self.y_train.shape[1:], dtype=int))

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many examples train, validate and test."""
        return len(self.x_train), len(self.x_val), len(self.x_test)


class Options(Protocol):
    """The parameters that all data sets share."""

    @property
    def limit(self) -> int | None:
        """Training examples to use, or None for all."""

    @property
    def standardize(self) -> bool:
        """Whether to subtract the mean and divide by the deviation."""

    @property
    def flip(self) -> bool:
        """Whether to mirror at random."""

    @property
    def shift(self) -> int:
        """Pixels to move by at random."""


def finish(
    options: Options,
    *,
    name: str,
    train: Pair,
    val: Pair,
    test: Pair,
    classes: int,
    class_names: tuple[str, ...] = (),
    scaling: str,
    source: str,
) -> Dataset:
    """Takes the parts to their final dtypes, limits, standardises and checks them.

    Raises:
        DataError: a part is empty, x and y differ in length, or a value is not finite.
    """
    parts = {"train": train, "val": val, "test": test}
    arrays: dict[str, Array] = {}
    for part, (x, y) in parts.items():
        if len(x) != len(y):
            raise DataError(f"{len(x)} examples but {len(y)} targets in the {part} part", where=source or name)
        if not len(x):
            raise DataError(
                f"the {part} part is empty",
                where=source or name,
                todo="Give more examples, or name the parts in the file",
            )
        if part == "train" and options.limit is not None:
            x, y = x[: options.limit], y[: options.limit]  # noqa: PLW2901
        arrays[f"x_{part}"] = np.ascontiguousarray(x, dtype=np.float32)
        arrays[f"y_{part}"] = np.ascontiguousarray(y, dtype=np.int32 if classes else np.float32)
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise DataError(
                f"{key} holds values that are not finite", where=source or name, todo="Clean NaN and infinities first"
            )
    if options.standardize:
        scaling += ", then standardised with the training mean and deviation"
        _standardise(arrays)
    for array in arrays.values():
        array.flags.writeable = False
    return Dataset(
        name=name,
        classes=classes,
        class_names=class_names,
        scaling=scaling,
        source=source,
        flip=options.flip,
        shift=options.shift,
        **arrays,
    )


def split(count: int, *, seed: int) -> tuple[Array, Array, Array]:
    """Row numbers of a fixed 60/20/20 split, `(floor(0.6 n), floor(0.2 n), the rest)`.

    The order is that of NumPy's legacy generator, the one that NumPy promises never to change.
    """
    order = np.random.RandomState(seed).permutation(count)
    first, second = count * 6 // 10, count * 6 // 10 + count * 2 // 10
    return order[:first], order[first:second], order[second:]


def _standardise(arrays: dict[str, Array]) -> None:
    train = arrays["x_train"]
    axes = tuple(range(train.ndim - 1)) if train.ndim > 2 else (0,)
    mean = train.mean(axis=axes, dtype=np.float64)
    deviation = train.std(axis=axes, dtype=np.float64)
    deviation = np.where(deviation > 0, deviation, 1.0)
    for key in ("x_train", "x_val", "x_test"):
        arrays[key] = ((arrays[key] - mean) / deviation).astype(np.float32)
