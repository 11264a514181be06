"""Arrays of the user's own, from a NumPy archive."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine import named_files
from engine.data.dataset import Array, Dataset, Pair, finish, split
from engine.errors import DataError
from engine.registry import register

_SHAPES = "x_train, y_train, x_test, y_test (and x_val, y_val), or x and y"


@register("data", "npz")
@dataclass(frozen=True)
class Npz:
    """`x` and `y` arrays of a `.npz` file; nothing in it is unpickled.

    With only a training and a test part, a fixed random fifth of the training part validates.
    """

    npz: str
    task: str = "auto"
    split_seed: int = 0
    limit: int | None = None
    standardize: bool = False
    flip: bool = False
    shift: int = 0

    def load(self) -> Dataset:
        """The arrays."""
        arrays = _read(named_files.archive(self.npz))
        train, val, test = _parts(arrays, self.npz, seed=self.split_seed)
        byte = train[0].dtype == np.uint8
        train, val, test = ((_scaled(x), y) for x, y in (train, val, test))
        ys, classes, names = _targets([train[1], val[1], test[1]], self.task, self.npz)
        if (self.flip or self.shift) and train[0].ndim != 4:
            raise DataError("only images, (n, height, width, channels), can be flipped and shifted", where=self.npz)
        return finish(
            self,
            name="npz",
            train=(train[0], ys[0]),
            val=(val[0], ys[1]),
            test=(test[0], ys[2]),
            classes=classes,
            class_names=names,
            scaling="8-bit values / 255" if byte else "as in the file",
            source=self.npz,
        )


def _read(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as raw:  # NumPy leaves a file open that turns out damaged
            loaded = np.load(raw, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                todo = f"Save with np.savez: {_SHAPES}"
                raise DataError("this is a single array, not an archive", where=str(path), todo=todo)
            return {key: loaded[key] for key in loaded.files if key in _KEYS}
    except ValueError as problem:
        said = "it holds Python objects, which are refused" if "allow_pickle" in str(problem) else str(problem)
        raise DataError(said, where=str(path), todo="Save plain arrays of numbers with np.savez") from None
    except (OSError, EOFError, zipfile.BadZipFile) as problem:
        raise DataError(f"cannot read it: {problem}", where=str(path), todo="Save it again with np.savez") from None


_KEYS = ("x", "y", "x_train", "y_train", "x_val", "y_val", "x_test", "y_test")


def _parts(arrays: dict[str, Array], where: str, *, seed: int) -> tuple[Pair, Pair, Pair]:
    for key, array in arrays.items():
        partner = arrays.get(key.replace("x", "y", 1))
        if partner is not None and (array.ndim == 0 or partner.ndim == 0 or len(array) != len(partner)):
            raise DataError(f"{key} and {key.replace('x', 'y', 1)} differ in length", where=where)
    if {"x", "y"} <= arrays.keys():
        x, y = arrays["x"], arrays["y"]
        train, val, test = ((x[rows], y[rows]) for rows in split(len(x), seed=seed))
        return train, val, test
    if not {"x_train", "y_train", "x_test", "y_test"} <= arrays.keys():
        raise DataError(
            f"it holds {', '.join(arrays) or 'none of the arrays'}", where=where, todo=f"It should hold {_SHAPES}"
        )
    x, y, test = arrays["x_train"], arrays["y_train"], (arrays["x_test"], arrays["y_test"])
    if {"x_val", "y_val"} <= arrays.keys():
        return (x, y), (arrays["x_val"], arrays["y_val"]), test
    order = np.random.RandomState(seed).permutation(len(x))
    cut = len(x) - len(x) // 5
    return (x[order[:cut]], y[order[:cut]]), (x[order[cut:]], y[order[cut:]]), test


def _scaled(x: Array) -> Array:
    if x.dtype == np.uint8:
        x = x.astype(np.float32) / np.float32(255)
    # Grey images as Keras' own sets have them, without the axis for channels.
    return x[..., None] if x.ndim == 3 else x


def _targets(ys: list[Array], task: str, where: str) -> tuple[list[Array], int, tuple[str, ...]]:
    real = ys[0].dtype.kind == "f" and not _one_hot(ys[0]) and not _yes_or_no(ys)
    if task == "regression" or (task == "auto" and real):
        if ys[0].dtype.kind not in "fiub":
            raise DataError("the targets are no numbers", where=where, todo="Use task: classification")
        return [y.reshape(len(y), -1) for y in ys], 0, ()
    one_hot = _one_hot(ys[0])
    if not one_hot and ys[0].size != len(ys[0]):
        raise DataError(
            f"y has shape {ys[0].shape}: several values for each example, and they are no one-hot rows",
            where=where,
            todo="Give one class for each example, or use task: regression",
        )
    ys = [y.argmax(axis=1) if one_hot else y.ravel() for y in ys]
    found = np.unique(np.concatenate(ys))
    if len(found) == 1:
        raise DataError(f"all examples are of one class, {found[0]}", where=where, todo="Give examples of two or more")
    unseen = np.setdiff1d(found, ys[0])
    if len(unseen):
        raise DataError(f"classes without a training example: {', '.join(map(str, unseen[:5]))}", where=where)
    names = () if np.array_equal(found, np.arange(len(found))) else tuple(map(str, found))
    return [np.searchsorted(found, y) for y in ys], len(found), names


def _yes_or_no(ys: list[Array]) -> bool:
    """True for what a sigmoid is trained with: one value for each example, 0.0 or 1.0."""
    return all(y.size == len(y) and bool(np.isin(y, (0, 1)).all()) for y in ys)


def _one_hot(y: Array) -> bool:
    return bool(y.ndim == 2 and y.shape[1] > 1 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())
