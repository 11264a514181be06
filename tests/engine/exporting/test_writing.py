"""Exports: written, loaded again, compared, or not there at all."""

from __future__ import annotations

import importlib.util
import os

import keras
import msgspec
import numpy as np
import pytest

import engine
from engine.errors import DataError, ModelError, UnknownName
from engine.exporting import formats
from engine.exporting.advice import blocked_share, in_blocks
from engine.exporting.values import ExportReport


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    made = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(3),
        ]
    )
    kernel = made.layers[3].kernel.numpy()
    made.layers[3].kernel.assign(np.where(np.abs(kernel) < np.quantile(np.abs(kernel), 0.8), 0, kernel))
    return made


@pytest.fixture(scope="module")
def data(model) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).standard_normal((60, 6, 6, 2)).astype("f4")
    return x, np.asarray(model(x)).argmax(-1)


@pytest.mark.parametrize("name", ["keras", "packed", "litert", "litert-sparse", "savedmodel"])
def test_exact_formats_answer_as_their_source(tmp_path, model, data, name):
    report = engine.export(model, tmp_path / "out", format=name, data=data)
    assert report.check.samples == 60
    assert report.check.agreement == 1.0
    assert report.check.accuracy_after == report.check.accuracy_before == 1.0
    assert report.check.difference is not None
    assert report.check.difference <= 1e-5 * max(1.0, report.check.scale or 0)
    assert os.listdir(tmp_path) == ["out"]
    there = tmp_path / "out"
    sizes = [p.stat().st_size for p in ([there] if there.is_file() else there.rglob("*")) if p.is_file()]
    assert report.bytes == sum(sizes)
    assert msgspec.json.decode(msgspec.json.encode(report), type=ExportReport) == report


@pytest.mark.parametrize(("name", "most"), [("litert_float16", 0.9), ("litert_int8", 0.7), ("litert_int8_full", 0.7)])
def test_coarse_formats_are_smaller_and_say_how_far_they_agree(tmp_path, model, data, name, most):
    plain = engine.export(model, tmp_path / "plain.tflite", data=data)
    report = engine.export(model, tmp_path / "out.tflite", format=name, data=data)
    assert (plain.format, report.format) == ("litert", name)
    assert report.bytes < most * plain.bytes
    assert report.check.agreement is not None
    assert report.check.agreement >= 0.9
    assert any("It answers as its source on" in note for note in report.notes)
    assert report.milliseconds is not None


def test_full_int8_needs_examples(tmp_path, model):
    with pytest.raises(DataError, match="representative"):
        engine.export(model, tmp_path / "m.tflite", format="litert_int8_full")
    assert os.listdir(tmp_path) == []


def test_onnx_or_what_to_install(tmp_path, model, data):
    if importlib.util.find_spec("tf2onnx") is None:
        with pytest.raises(ModelError, match=r"prune-tui\[onnx\]"):
            engine.export(model, tmp_path / "m.onnx", data=data)
    else:
        assert engine.export(model, tmp_path / "m.onnx", data=data).check.agreement == 1.0
        again = keras.models.clone_model(model)  # never called, and no data to call it on
        assert engine.export(again, tmp_path / "m.onnx").check.inputs == "random inputs"


def test_an_artefact_that_answers_otherwise_is_not_left_behind(tmp_path, model, data, monkeypatch):
    (tmp_path / "m.keras").write_bytes(b"before")
    wrong = formats.FORMATS["keras"]
    monkeypatch.setitem(
        formats.FORMATS,
        "keras",
        formats.dataclasses.replace(wrong, open=lambda *_: ("Keras", lambda x: [np.asarray(model(x)) + 1e-3])),
    )
    with pytest.raises(ModelError, match="does not answer as its source"):
        engine.export(model, tmp_path / "m.keras", data=data)
    assert (tmp_path / "m.keras").read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["m.keras"]


def test_what_lies_there_is_replaced(tmp_path, model):
    for _ in range(2):
        report = engine.export(model, tmp_path / "saved", format="savedmodel")
    assert report.check.inputs == "random inputs"
    assert engine.export(model, tmp_path / "saved", format="packed").bytes == (tmp_path / "saved").stat().st_size


def test_a_folder_with_other_things_stays(tmp_path, model):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    for name in ("savedmodel", "packed"):
        with pytest.raises(ModelError, match="a folder with other things in it"):
            engine.export(model, tmp_path / "mine", format=name)
    assert os.listdir(tmp_path / "mine") == ["thesis.tex"]
    with pytest.raises(ModelError, match="nothing can be written there"):
        engine.export(model, tmp_path / "mine" / "thesis.tex" / "m.keras")
    assert engine.export(model, tmp_path / "new" / "deep" / "m.keras").bytes > 0


def test_sequences_of_any_length_in_litert(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.Conv1D(4, 2),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(2),
        ]
    )
    x = np.random.default_rng(0).standard_normal((4, 7, 3)).astype("f4")
    assert engine.export(model, tmp_path / "m.tflite", data=(x,)).check.samples == 4
    with pytest.raises(ModelError, match="no fixed shape"):
        engine.export(model, tmp_path / "n.tflite")
    assert os.listdir(tmp_path) == ["m.tflite"]


def test_what_a_format_does_not_take_is_said_and_leaves_nothing(tmp_path):
    half = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="mixed_float16")])
    with pytest.raises(ModelError, match="computes in float16, and LiteRT cannot"):
        engine.export(half, tmp_path / "m.tflite")

    class Nameless(keras.layers.Dense):  # type: ignore[misc]
        def get_config(self):
            raise RuntimeError("I say nothing of myself")

    silent = keras.Sequential([keras.Input((4,)), Nameless(3)])
    for name in ("keras", "packed"):
        with pytest.raises(ModelError, match="I say nothing of myself"):
            engine.export(silent, tmp_path / "m", format=name)
    with pytest.raises(DataError, match="does not take this data"):
        engine.export(half, tmp_path / "m.keras", data=(np.zeros((2, 9), "f4"),))
    assert os.listdir(tmp_path) == []
    assert engine.export(half, tmp_path / "saved").check.tolerance == pytest.approx(10 / 2**11)


def test_yes_or_no_is_compared_by_class(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, activation="sigmoid")])
    model.layers[0].kernel.assign([[1.0]])
    x = np.array([[-1.0], [2.0], [0.5], [-3.0]], "f4")
    check = engine.export(model, tmp_path / "m.tflite", data=(x, np.array([0, 1, 0, 0]))).check
    assert (check.agreement, check.accuracy_before, check.accuracy_after) == (1.0, 0.75, 0.75)


def test_several_inputs_keep_their_order(tmp_path):
    a, b = keras.Input((3,), name="alpha"), keras.Input((5,), name="beta")
    both = keras.layers.Dense(4)(keras.layers.Concatenate()([a, b]))
    one = keras.Model([b, a], [both, keras.layers.Dense(2)(b)])
    named = keras.Model({"beta": b, "alpha": a}, both)
    x, y = np.ones((7, 3), "f4"), np.full((7, 5), 2.0, "f4")
    for name in ("litert", "savedmodel"):
        assert engine.export(one, tmp_path / "m", format=name, data=([y, x],)).check.samples == 7
        assert engine.export(named, tmp_path / "m", format=name, data=({"alpha": x, "beta": y},)).check.samples == 7


def test_a_recurrent_net_is_converted_for_one_row(tmp_path):
    inputs = keras.Input((6,), dtype="int32")
    hidden = keras.layers.LSTM(8)(keras.layers.Embedding(20, 8)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(hidden))
    words = np.random.default_rng(0).integers(0, 20, (5, 6)).astype("int32")
    report = engine.export(model, tmp_path / "m.tflite", data=(words,))
    assert (report.check.samples, report.check.agreement) == (5, 1.0)


def test_names(tmp_path, model):
    assert formats.get_format("LiteRT-int8").name == "litert_int8"
    assert formats.get_format(None, "x.packed").name == "packed"
    assert formats.get_format(None, "folder").name == "savedmodel"
    with pytest.raises(UnknownName, match="litert"):
        engine.export(model, tmp_path / "m", format="litertt")
    with pytest.raises(ModelError, match="not built"):
        engine.export(keras.Sequential([keras.layers.Dense(2)]), tmp_path / "m.keras")


def test_the_report_says_what_single_zeros_do(tmp_path, model, data):
    notes = " ".join(engine.export(model, tmp_path / "m.tflite", data=data).notes)
    assert "These single zeros make the file smaller" in notes
    assert "not the model faster; blocks of 4 along the inputs would run" in notes
    packed = " ".join(engine.export(model, tmp_path / "m.packed", data=data).notes)
    assert "of their entropy" in packed
    assert "neither faster nor slower" in packed


def test_blocks_by_hand():
    kernel = np.array([[1, 9], [0, 9], [1, 9], [0, 9], [5, 0], [5, 0], [5, 9], [5, 9]], "f4")
    # Four zeros make one block: the weakest mean is that of the first column's upper half.
    expected = kernel.copy()
    expected[:4, 0] = 0
    np.testing.assert_array_equal(in_blocks(kernel), expected)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    model.layers[0].kernel.assign(kernel)
    assert blocked_share(model) == 0
    model.layers[0].kernel.assign(np.where(np.arange(8)[:, None] < 4, 0, 1) * np.ones((8, 2)))
    assert blocked_share(model) == 1
