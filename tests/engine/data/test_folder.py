from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import engine.data
from engine.errors import DataError


def paint(folder: Path, value: int, count: int, *, size: tuple[int, int] = (6, 5)) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        image = tf.io.encode_png(np.full((*size, 3), value, np.uint8))
        (folder / f"{i}.png").write_bytes(image.numpy())


def test_train_and_test_folders(tmp_path: Path) -> None:
    for part, count in (("train", 5), ("test", 2)):
        paint(tmp_path / part / "dark", 51, count)
        paint(tmp_path / part / "light", 204, count)
    data = engine.data.load("folder", folder=str(tmp_path))
    assert data.sizes == (8, 2, 4)
    assert data.input_shape == (6, 5, 3)
    assert data.class_names == ("dark", "light")
    for x, y in ((data.x_train, data.y_train), (data.x_val, data.y_val), (data.x_test, data.y_test)):
        np.testing.assert_allclose(x[:, 0, 0, 0], np.where(y == 1, 0.8, 0.2), rtol=1e-6)
    paint(tmp_path / "val/dark", 0, 1)
    paint(tmp_path / "val/light", 0, 1)
    assert engine.data.load("folder", folder=str(tmp_path)).sizes == (10, 2, 4)


def test_one_folder_is_split_and_resized(tmp_path: Path) -> None:
    paint(tmp_path / "a", 10, 5)
    paint(tmp_path / "b", 20, 5, size=(9, 9))
    data = engine.data.load("folder", folder=str(tmp_path), size=4, grayscale=True)
    assert data.sizes == (6, 2, 2)
    assert data.input_shape == (4, 4, 1)


def test_bad_folders_are_said_clearly(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        engine.data.load("folder", folder=str(tmp_path / "none"))
    with pytest.raises(DataError, match="two classes"):
        engine.data.load("folder", folder=str(tmp_path))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match="no images"):
        engine.data.load("folder", folder=str(tmp_path))
    (tmp_path / "a/x.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="cannot read"):
        engine.data.load("folder", folder=str(tmp_path))
    with pytest.raises(DataError, match="cannot read"):
        engine.data.load("folder", folder=str(tmp_path), size=4)


def test_a_missing_test_folder_and_other_classes(tmp_path: Path) -> None:
    paint(tmp_path / "train/a", 1, 2)
    paint(tmp_path / "train/b", 1, 2)
    with pytest.raises(DataError, match="no test/"):
        engine.data.load("folder", folder=str(tmp_path))
    paint(tmp_path / "test/a", 1, 1)
    paint(tmp_path / "test/c", 1, 1)
    with pytest.raises(DataError, match="not those of train/"):
        engine.data.load("folder", folder=str(tmp_path))
