from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine.data
from engine.errors import DataError


def load(tmp_path: Path, arrays: dict[str, Any], **params: Any) -> Any:
    np.savez(tmp_path / "d.npz", **arrays)
    return engine.data.load("npz", npz=str(tmp_path / "d.npz"), **params)


def test_one_pair_is_split_60_20_20(tmp_path: Path) -> None:
    x = np.arange(20.0).reshape(10, 2)
    data = load(tmp_path, {"x": x, "y": np.arange(10) % 2})
    assert data.sizes == (6, 2, 2)
    np.testing.assert_array_equal(data.x_train[0], x[2])  # the frozen order begins with 2
    assert data.classes == 2


def test_given_parts_stay_and_a_fifth_validates(tmp_path: Path) -> None:
    x, y = np.arange(10.0)[:, None], np.arange(10) % 2
    data = load(tmp_path, {"x_train": x, "y_train": y, "x_test": x + 100, "y_test": y})
    assert data.sizes == (8, 2, 10)
    assert sorted(np.concatenate([data.x_train, data.x_val]).ravel()) == list(range(10))
    given = {"x_train": x, "y_train": y, "x_val": x[:3], "y_val": y[:3], "x_test": x, "y_test": y}
    assert load(tmp_path, given).sizes == (10, 3, 10)


def test_bytes_are_scaled_and_grey_images_get_a_channel(tmp_path: Path) -> None:
    x = np.full((10, 4, 4), 51, np.uint8)
    data = load(tmp_path, {"x": x, "y": np.arange(10) % 2})
    assert data.input_shape == (4, 4, 1)
    np.testing.assert_allclose(data.x_train, 0.2, rtol=1e-6)


@pytest.mark.parametrize(
    ("y", "classes", "names"),
    [
        (["b", "a"] * 5, 2, ("a", "b")),
        ([3, 7] * 5, 2, ("3", "7")),
        ([0, 1] * 5, 2, ()),
        ([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 0], [1, 0, 0]] * 2, 3, ()),
        ([0.25, 1.5] * 5, 0, ()),
    ],
)
def test_targets(y: Any, classes: int, names: tuple[str, ...], tmp_path: Path) -> None:
    x = np.arange(10.0)[:, None]
    arrays = {"x_train": x, "y_train": np.array(y), "x_test": x, "y_test": np.array(y)}
    data = load(tmp_path, arrays)
    assert (data.classes, data.class_names) == (classes, names)
    assert data.outputs == max(classes, 1)
    if classes:
        assert sorted(set(data.y_test)) == list(range(classes))
        assert data.y_test.dtype == np.int32
    else:
        np.testing.assert_allclose(data.y_test[:, 0], y)


def test_float_labels_may_be_called_classes(tmp_path: Path) -> None:
    arrays = {"x": np.zeros((10, 2)), "y": np.array([0.0, 2.0] * 5)}
    assert load(tmp_path, arrays).classes == 0
    assert load(tmp_path, arrays, task="classification").classes == 2


@pytest.mark.parametrize("shape", [(20,), (20, 1)])
def test_a_column_of_0_and_1_is_two_classes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    arrays = {"x": np.zeros((20, 2)), "y": np.array([0.0, 1.0] * 10, "float32").reshape(shape)}
    found = load(tmp_path, arrays)  # what a sigmoid is trained with
    assert (found.classes, found.y_train.dtype, found.y_train.shape) == (2, np.int32, (12,))
    assert load(tmp_path, arrays, task="regression").classes == 0


def test_labels_that_are_no_classes_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="several values for each example"):
        load(tmp_path, {"x": np.zeros((10, 2)), "y": np.array([[1, 1, 0], [0, 1, 1]] * 5)})
    with pytest.raises(DataError, match="all examples are of one class, 1"):
        load(tmp_path, {"x": np.zeros((10, 2)), "y": np.ones(10, int)})


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"a": np.zeros(3)}, "x_train, y_train"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(4, int)}, "differ in length"),
        ({"x": np.array([{}, {}]), "y": np.zeros(2)}, "Python objects"),
        (
            {"x_train": np.zeros((5, 1)), "y_train": np.zeros(5, int), "x_test": np.zeros((1, 1)), "y_test": [4]},
            "without",
        ),
    ],
)
def test_bad_files_are_said_clearly(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        load(tmp_path, arrays)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        engine.data.load("npz", npz=str(tmp_path / "none.npz"))
    for content in (b"", b"PK\x03\x04damaged", b"text"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(DataError):
            engine.data.load("npz", npz=str(tmp_path / "bad.npz"))
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DataError, match="single array"):
        engine.data.load("npz", npz=str(tmp_path / "one.npy"))
