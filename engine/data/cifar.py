"""The files in which CIFAR is published and Keras caches it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from engine.data.dataset import Pair
from engine.data.published import Parts
from engine.errors import DataError


def read_batches(folder: Path, *, name: str, train: tuple[str, ...], test: str, label: str) -> Parts | None:
    """Reads the pickled batches below a folder, or gives None where they are not there.

    They are pickles; Keras' own reader for them builds nothing but arrays, so that a file can run no code.

    Args:
        folder: where to look; both the published folder and Keras' `NAME-target` around it are tried.
        name: the published folder's name.
        train: the files of the training part.
        test: the file of the test part.
        label: the key of the labels in each.
    """
    for place in (folder / name, folder / f"{name}-target" / name):
        if all((place / file).is_file() for file in (*train, test)):
            batches = [_read(place / file, label) for file in train]
            x = np.concatenate([b[0] for b in batches])
            y = np.concatenate([b[1] for b in batches])
            return (x, y), _read(place / test, label)
    return None


def _read(path: Path, label: str) -> Pair:
    from keras.src.datasets.cifar import load_batch

    try:
        x, y = load_batch(str(path), label_key=label)
    except (OSError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as problem:
        raise DataError(f"cannot read it: {problem}", where=str(path), todo="Delete it and download it again") from None
    return np.asarray(x, np.uint8).transpose(0, 2, 3, 1), np.asarray(y)
