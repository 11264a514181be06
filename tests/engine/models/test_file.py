from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import engine.models
from engine.errors import ModelError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = engine.models.build("mlp", (4,), 3, 7, hidden=(5,))
    model.compile("adam", "mse")
    model.save(tmp_path / "m.keras")
    return tmp_path / "m.keras"


def test_it_starts_from_the_trained_weights(saved: Path) -> None:
    model = engine.models.build("file", (4,), 3, 0, file=str(saved))
    again = engine.models.build("mlp", (4,), 3, 7, hidden=(5,))
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_data_is_said(saved: Path) -> None:
    with pytest.raises(ModelError, match=r"shape \(4,\), the data has \(5,\)"):
        engine.models.build("file", (5,), 3, file=str(saved))
    with pytest.raises(ModelError, match="3 outputs, the data needs 2"):
        engine.models.build("file", (4,), 2, file=str(saved))


def test_no_file_and_no_keras_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        engine.models.build("file", (4,), 3, file=str(tmp_path / "none.keras"))
    (tmp_path / "bad.keras").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"not a \.keras file"):
        engine.models.build("file", (4,), 3, file=str(tmp_path / "bad.keras"))
    (tmp_path / "cut.keras").write_bytes(b"PK\x05\x06" + bytes(18))  # an archive with nothing in it
    with pytest.raises(ModelError, match="cannot load"):
        engine.models.build("file", (4,), 3, file=str(tmp_path / "cut.keras"))


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    outputs = keras.layers.Lambda(lambda x: x * 2, output_shape=(4,))(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "l.keras")
    with pytest.raises(ModelError, match="Lambda"):
        engine.models.build("file", (4,), 4, file=str(tmp_path / "l.keras"))


def test_a_class_of_the_users_own_is_said(tmp_path: Path) -> None:
    class Mine(keras.layers.Dense):  # type: ignore[misc]
        pass

    inputs = keras.Input((4,))
    keras.Model(inputs, Mine(3)(inputs)).save(tmp_path / "c.keras")
    with pytest.raises(ModelError, match="classes of your own"):
        engine.models.build("file", (4,), 3, file=str(tmp_path / "c.keras"))


def test_two_inputs_are_said(tmp_path: Path) -> None:
    a, b = keras.Input((4,)), keras.Input((4,))
    keras.Model([a, b], keras.layers.Add()([a, b])).save(tmp_path / "two.keras")
    with pytest.raises(ModelError, match="one input"):
        engine.models.build("file", (4,), 4, file=str(tmp_path / "two.keras"))
