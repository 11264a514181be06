"""Published image sets: looked for in the user's data folder, then in Keras' cache, then downloaded by Keras."""

from __future__ import annotations

import gzip
import os
import socket
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np

from engine.data.dataset import Array, Dataset, Options, Pair, finish
from engine.errors import DataError

FOLDER = "PRUNE_TUI_DATA"
VALIDATION = 5_000
NATIVE = {  # the folders in which Keras caches the sets in their published shape
    "mnist": "mnist",
    "fashion_mnist": "fashion-mnist",
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
}
_TIMEOUT = 30.0

Parts = tuple[Pair, Pair]
Reader = Callable[[Path], Parts | None]


def published(
    options: Options, name: str, *, native: Reader, classes: int, class_names: tuple[str, ...] = ()
) -> Dataset:
    """Finds a set, keeps the last 5,000 training images for validation, and scales pixels by 1/255.

    Args:
        options: the part with the common parameters.
        name: the catalog's name, `NAME.npz` in the folders, and the module in `keras.datasets`.
        native: reads the files in the shape in which Keras caches them below a folder; None where they are not there.
        classes: how many there are.
        class_names: their names.

    Raises:
        DataError: in none of the three places; the message names all of them.
    """
    ((x, y), test), source = _find(name, native)
    x, test_x = (a[..., None] if a.ndim == 3 else a for a in (x, test[0]))
    return finish(
        options,
        name=name,
        train=_scaled(x[:-VALIDATION], y[:-VALIDATION], rows=options.limit),
        val=_scaled(x[-VALIDATION:], y[-VALIDATION:]),
        test=_scaled(test_x, test[1]),
        classes=classes,
        class_names=class_names,
        scaling="pixels / 255",
        source=source,
    )


def read_npz(path: Path) -> Parts | None:
    """The two parts of a file in the format of Keras' `mnist.npz`, or None where there is none."""
    if not path.is_file():
        return None
    try:
        # NumPy leaves a file open that turns out damaged: hence `open` here.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return (file["x_train"], file["y_train"].ravel()), (file["x_test"], file["y_test"].ravel())
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as problem:
        raise DataError(
            f"cannot read it: {problem}",
            where=str(path),
            todo="It should hold x_train, y_train, x_test and y_test; delete it if it is damaged",
        ) from None


def read_idx(folder: Path) -> Parts | None:
    """The four gzipped IDX files in which MNIST and Fashion-MNIST are published, or None where they are not."""
    names = [
        f"{part}-{what}" for part in ("train", "t10k") for what in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz")
    ]
    if not all((folder / n).is_file() for n in names):
        return None
    try:
        arrays = [_idx(folder / n) for n in names]
    except (OSError, EOFError, ValueError) as problem:
        raise DataError(
            f"cannot read it: {problem}", where=str(folder), todo="Delete the files if they are damaged"
        ) from None
    return (arrays[0], arrays[1]), (arrays[2], arrays[3])


def cache() -> Path:
    """The folder in which Keras keeps data sets."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"


def kept(name: str) -> Path | None:
    """The folder in which a published set lies ready on this machine, by its files' names alone; None where none."""
    for folder in _folders():
        if (folder / f"{name}.npz").is_file() or ((folder / NATIVE.get(name, "")).is_dir() and name in NATIVE):
            return folder
    return None


def download(name: str) -> Parts:
    """Lets Keras download a set into its cache. Raises whatever the network does."""
    import keras

    # Keras reports progress on stdout, which may be somebody's JSON lines.
    with _patience(_TIMEOUT), redirect_stdout(sys.stderr):
        (x, y), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    return (x, np.ravel(y)), (x_test, np.ravel(y_test))


def _find(name: str, native: Reader) -> tuple[Parts, str]:
    for folder in _folders():
        found = read_npz(folder / f"{name}.npz") or native(folder)
        if found is not None:
            return found, str(folder)
    try:
        return download(name), "downloaded"
    except Exception as problem:
        given = os.environ.get(FOLDER) or "not set"
        looked = f"${FOLDER} ({given}), Keras' cache ({cache()}) and the network ({problem})"
        raise DataError(
            f"{name} was found in none of three places: {looked}",
            where=f"data {name}",
            todo=f"Put {name}.npz into ${FOLDER}, connect to the network, or use `data: digits`, which needs neither",
        ) from problem


def _folders() -> tuple[Path, ...]:
    given = os.environ.get(FOLDER)
    return (*((Path(given).expanduser(),) if given else ()), cache())


def _scaled(x: Array, y: Array, *, rows: int | None = None) -> Pair:
    return x[:rows].astype(np.float32) / np.float32(255), y[:rows]


def _idx(path: Path) -> Array:
    with gzip.open(path, "rb") as file:
        raw = file.read()
    rank = raw[3] if len(raw) > 4 else 0
    shape = np.frombuffer(raw, ">i4", count=rank, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(tuple(int(n) for n in shape))


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    # Without it, a network that swallows packets would hold a run for ever.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
