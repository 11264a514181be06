from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import engine.data
from engine.data import published
from engine.errors import DataError

DOWNLOAD = published.download


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(name: str) -> Any:
        raise OSError("no network here")

    monkeypatch.setattr(published, "download", fail)
    monkeypatch.setattr(published, "VALIDATION", 3)
    monkeypatch.delenv("PRUNE_TUI_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras/datasets").mkdir(parents=True)


def images(n: int, *shape: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), (np.arange(n) % 10).astype(np.uint8)


def save(path: Path, x: Any, y: Any) -> None:
    np.savez(path, x_train=x, y_train=y, x_test=x[:4], y_test=y[:4])


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_nowhere_names_all_three_places_and_offers_digits(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        engine.data.load(name)
    said = str(caught.value)
    assert "PRUNE_TUI_DATA" in said
    assert str(tmp_path / "keras/datasets") in said
    assert "no network here" in said
    assert "data: digits" in said


def test_the_users_folder_comes_before_keras_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = images(11, 28, 28)
    save(tmp_path / "keras/datasets/mnist.npz", x, y)
    data = engine.data.load("mnist")
    assert data.sizes == (8, 3, 4)
    assert data.input_shape == (28, 28, 1)
    np.testing.assert_allclose(data.x_val[..., 0], x[-3:] / 255, rtol=1e-6)  # the last ones validate
    np.testing.assert_array_equal(data.y_train, y[:8])
    monkeypatch.setenv("PRUNE_TUI_DATA", str(tmp_path))
    save(tmp_path / "mnist.npz", x[::-1].copy(), y[::-1].copy())
    mine = engine.data.load("mnist")
    np.testing.assert_allclose(mine.x_train[0, ..., 0], x[-1] / 255, rtol=1e-6)
    assert mine.source == str(tmp_path)


def test_fashion_mnist_as_keras_caches_it(tmp_path: Path) -> None:
    folder = tmp_path / "keras/datasets/fashion-mnist"
    folder.mkdir()
    for part, n in (("train", 9), ("t10k", 4)):
        x, y = images(n, 28, 28)
        for what, array in (("images-idx3", x), ("labels-idx1", y)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            with gzip.open(folder / f"{part}-{what}-ubyte.gz", "wb") as file:
                file.write(header + array.tobytes())
    data = engine.data.load("fashion_mnist")
    assert data.sizes == (6, 3, 4)
    np.testing.assert_allclose(data.x_test[..., 0], images(4, 28, 28)[0] / 255, rtol=1e-6)
    assert data.class_names[9] == "ankle boot"


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_as_keras_caches_it(name: str, tmp_path: Path) -> None:
    ten = name == "cifar10"
    inner = "cifar-10-batches-py" if ten else "cifar-100-python"
    folder = tmp_path / "keras/datasets" / f"{inner}-target" / inner
    folder.mkdir(parents=True)
    files = [f"data_batch_{i}" for i in range(1, 6)] if ten else ["train"]
    x, y = images(4, 3, 32, 32)
    batch = {b"data": x.reshape(4, -1), b"labels" if ten else b"fine_labels": y.tolist()}
    for file in [*files, "test_batch" if ten else "test"]:
        (folder / file).write_bytes(pickle.dumps(batch, protocol=3))
    data = engine.data.load(name)
    assert data.sizes == (4 * len(files) - 3, 3, 4)
    assert data.input_shape == (32, 32, 3)
    np.testing.assert_allclose(data.x_test[1, 5, 6], x[1, :, 5, 6] / 255, rtol=1e-6)  # channels last


def test_a_pickle_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    folder = tmp_path / "keras/datasets/cifar-100-python"
    folder.mkdir()
    for file in ("train", "test"):
        (folder / file).write_bytes(pickle.dumps({b"data": Bad()}, protocol=3))
    with pytest.raises(DataError):
        engine.data.load("cifar100")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04damaged"])
def test_a_damaged_file_is_said_clearly(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "keras/datasets/mnist.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"mnist\.npz"):
        engine.data.load("mnist")


def test_a_download_leaves_stdout_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = images(9, 28, 28)

    def fetch() -> Any:
        print("Downloading data from somewhere")  # noqa: T201
        return (x, y), (x[:4], y[:4])

    monkeypatch.setattr(published, "download", DOWNLOAD)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", fetch)
    data = engine.data.load("mnist")
    assert (data.sizes, data.source) == ((6, 3, 4), "downloaded")
    assert capsys.readouterr().out == ""
