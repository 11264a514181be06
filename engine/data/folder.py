"""A folder of images, one subfolder a class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import named_files
from engine.data.dataset import Array, Dataset, Pair, finish, split
from engine.errors import DataError
from engine.registry import register

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
_VALIDATION = ("val", "valid", "validation")


@register("data", "folder")
@dataclass(frozen=True)
class Folder:
    """Images read by Keras, in alphabetical order of classes and files, resized to one size.

    With only a training and a test part, a fixed random fifth of the training part validates.
    """

    folder: str
    size: int | None = None
    grayscale: bool = False
    split_seed: int = 0
    limit: int | None = None
    standardize: bool = False
    flip: bool = False
    shift: int = 0

    def load(self) -> Dataset:
        """The arrays."""
        root = named_files.image_folder(self.folder)
        names = named_files.classes(root / "train" if (root / "train").is_dir() else root)
        size = (self.size, self.size) if self.size else _first_size(root)
        if (root / "train").is_dir():
            train, val, test = self._given(root, names, size)
        else:
            x, y = self._read(root, names, size)
            train, val, test = ((x[rows], y[rows]) for rows in split(len(x), seed=self.split_seed))
        return finish(
            self,
            name="folder",
            train=train,
            val=val,
            test=test,
            classes=len(names),
            class_names=names,
            scaling="pixels / 255",
            source=str(root),
        )

    def _given(self, root: Path, names: tuple[str, ...], size: tuple[int, int]) -> tuple[Pair, Pair, Pair]:
        if not (root / "test").is_dir():
            raise DataError(
                "there is a train/ but no test/", where=str(root), todo="Add one, or put the classes in one folder"
            )
        x, y = self._read(root / "train", names, size)
        test = self._read(root / "test", names, size)
        given = next((root / name for name in _VALIDATION if (root / name).is_dir()), None)
        if given is not None:
            return (x, y), self._read(given, names, size), test
        order = np.random.RandomState(self.split_seed).permutation(len(x))
        cut = len(x) - len(x) // 5
        return (x[order[:cut]], y[order[:cut]]), (x[order[cut:]], y[order[cut:]]), test

    def _read(self, folder: Path, names: tuple[str, ...], size: tuple[int, int]) -> Pair:
        import keras

        if named_files.classes(folder) != names:
            raise DataError(f"the classes are not those of train/: {', '.join(names)}", where=str(folder))
        try:
            batches: Any = keras.utils.image_dataset_from_directory(
                str(folder),
                class_names=list(names),
                color_mode="grayscale" if self.grayscale else "rgb",
                image_size=size,
                batch_size=256,
                shuffle=False,
                verbose=False,
            )
            read: list[tuple[Array, Array]] = [(x.numpy(), y.numpy()) for x, y in batches]
        except Exception as problem:  # TensorFlow's decoders raise errors of several families
            raise DataError(
                f"cannot read the images: {problem}", where=str(folder), todo="Remove damaged files"
            ) from problem
        x = np.concatenate([b[0] for b in read]).astype(np.float32) / np.float32(255)
        return x, np.concatenate([b[1] for b in read])


def _first_size(root: Path) -> tuple[int, int]:
    import tensorflow as tf

    found = next((p for p in sorted(root.rglob("*")) if p.suffix.lower() in _ENDINGS), None)
    if found is None:
        raise DataError(f"there are no images here ({', '.join(_ENDINGS)})", where=str(root))
    try:
        shape = tf.io.decode_image(tf.io.read_file(str(found)), expand_animations=False).shape
    except (tf.errors.OpError, ValueError) as problem:
        said = str(problem).splitlines()[0]
        raise DataError(f"cannot read it: {said}", where=str(found), todo="Remove damaged files") from None
    return int(shape[0]), int(shape[1])
