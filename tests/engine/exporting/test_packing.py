"""Packed files: exact, small, safe to open."""

from __future__ import annotations

import json
import lzma
import struct
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine.errors import DataError, ModelError
from engine.exporting.packing import _DICTIONARY, MAGIC, pack, save_packed


def pruned(sparsity: float = 0.9) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.Input((100,)), keras.layers.Dense(200, activation="relu"), keras.layers.BatchNormalization()]
    )
    model.add(keras.layers.Dense(10))
    for layer in (model.layers[0], model.layers[2]):
        kernel = layer.kernel.numpy()
        layer.kernel.assign(np.where(np.abs(kernel) < np.quantile(np.abs(kernel), sparsity), 0, kernel))
    return model


def same(a: keras.Model, b: keras.Model) -> bool:
    return all(
        x.name == y.name and str(x.dtype) == str(y.dtype) and x.numpy().tobytes() == y.numpy().tobytes()
        for x, y in zip(a.weights, b.weights, strict=True)
    )


def test_there_and_back(tmp_path):
    model = pruned()
    save_packed(model, tmp_path / "m.packed")
    again = engine.load_packed(tmp_path / "m.packed")
    assert same(model, again)
    x = np.random.default_rng(0).standard_normal((7, 100)).astype("f4")
    np.testing.assert_array_equal(model(x), again(x))


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "float64"])
def test_other_types(tmp_path, policy):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype=policy)])
    save_packed(model, tmp_path / "m")
    assert same(model, engine.load_packed(tmp_path / "m"))


def test_quantized_weights_and_graphs_and_normalization(tmp_path):
    inputs = keras.Input((8, 8, 3))
    normalized = keras.layers.Normalization()
    normalized.adapt(np.random.default_rng(0).random((20, 8, 8, 3)))
    x = keras.layers.Conv2D(4, 3, padding="same")(normalized(inputs))
    x = keras.layers.Add()([x, keras.layers.DepthwiseConv2D(3, padding="same")(x)])
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.Dense(5)(x))
    model.layers[-1].quantize("int8")
    save_packed(model, tmp_path / "m")
    again = engine.load_packed(tmp_path / "m")
    assert same(model, again)
    assert "int8" in {str(w.dtype) for w in again.weights}
    image = np.random.default_rng(1).random((2, 8, 8, 3)).astype("f4")
    np.testing.assert_array_equal(model(image), again(image))


def test_small_beside_xz_of_the_keras_file(tmp_path):
    model = pruned(0.95)
    model.save(tmp_path / "m.keras")
    packed = pack(model)
    assert len(packed.content) < 0.75 * len(lzma.compress((tmp_path / "m.keras").read_bytes()))
    architecture = struct.unpack("<I", packed.content[8:12])[0]
    assert len(packed.content) - architecture <= 1.1 * packed.ideal  # 3.5 kB: what streams need at least is felt


def test_a_larger_model_is_within_a_twentieth_of_its_entropy_all_told():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(300), keras.layers.Dense(10)])
    kernel = model.layers[0].kernel.numpy()
    model.layers[0].kernel.assign(np.where(np.abs(kernel) < np.quantile(np.abs(kernel), 0.95), 0, kernel))
    packed = pack(model)
    assert packed.ideal < len(packed.content) <= 1.05 * packed.ideal


def test_negative_zeros_are_kept_and_counted(tmp_path):
    model = pruned()
    kernel = model.layers[0].kernel.numpy()
    assert save_packed(model, tmp_path / "m").negative_zeros == 0
    masked = np.where(kernel == 0, -0.0, kernel).astype("f4")  # what -0.3 * 0 leaves
    model.layers[0].kernel.assign(masked)
    packed = save_packed(model, tmp_path / "m")
    assert packed.negative_zeros == np.count_nonzero(kernel == 0)
    assert same(model, engine.load_packed(tmp_path / "m"))
    assert any("zeros are negative" in note for note in engine.export(model, tmp_path / "m.packed").notes)


def test_damage_is_seen(tmp_path):
    content = pack(pruned()).content
    for damaged in (content[:-9], content[:2000] + b"\0" + content[2001:], b"", b"PK\3\4" + content[4:]):
        (tmp_path / "m").write_bytes(damaged)
        with pytest.raises(DataError):
            engine.load_packed(tmp_path / "m")
    with pytest.raises(DataError, match="cannot be read"):
        engine.load_packed(tmp_path / "none")


def forged(description: object) -> bytes:
    text = json.dumps(description).encode()
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=_DICTIONARY)
    packed = squeezed.compress(text) + squeezed.flush()
    body = MAGIC + struct.pack("<II", len(packed), len(text)) + packed
    return body + struct.pack("<I", zlib.crc32(body))


@pytest.mark.parametrize("description", [{}, [], {"config": None, "groups": [{}]}, {"config": {}, "groups": 3}])
def test_nonsense_with_a_right_checksum_is_refused(tmp_path, description):
    (tmp_path / "m").write_bytes(forged(description))
    with pytest.raises((DataError, ModelError)):
        engine.load_packed(tmp_path / "m")


def test_code_in_a_file_is_not_run(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x)])
    save_packed(model, tmp_path / "m")
    with pytest.raises(ModelError, match="Keras does not accept"):
        engine.load_packed(tmp_path / "m")


def test_weights_of_another_architecture_are_refused(tmp_path):
    config = keras.saving.serialize_keras_object(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]))
    config.pop("compile_config", None)
    (tmp_path / "m").write_bytes(forged({"config": config, "groups": []}))
    with pytest.raises(DataError, match="0 weights, its architecture 2"):
        engine.load_packed(tmp_path / "m")


@keras.saving.register_keras_serializable("tests")
class Odd(keras.layers.Layer):  # type: ignore[misc]
    """Weights of every kind: scalars, empty ones, whole numbers, bools."""

    def build(self, _shape: object) -> None:
        for name, shape, dtype in ODD:
            self.add_weight(shape=shape, dtype=dtype, initializer="zeros", trainable=False, name=name)
        self.built = True

    def call(self, x: object) -> object:
        return x


ODD = [
    ("scalar", (), "float32"), ("empty", (0, 3), "float32"), ("half", (9, 5), "float16"), ("brain", (9, 5), "bfloat16"),
    ("double", (4, 3), "float64"), ("single", (40, 20), "float32"), ("byte", (700,), "int8"), ("long", (7,), "int64"),
    ("yes", (11,), "bool"),
]  # fmt: skip
WORDS = {1: "u1", 2: "u2", 4: "u4", 8: "u8"}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.floats(0, 1))
def test_any_bits_come_back(seed, zeros):
    """NaN payloads, infinities, denormals and negative zeros are bits like any other."""
    rng = np.random.default_rng(seed)
    model = keras.Sequential([keras.Input((2,)), Odd()])
    for weight in model.weights:
        array = weight.numpy()
        if array.dtype == bool:
            weight.assign(rng.random(array.shape) < 0.5)
            continue
        word = WORDS[array.dtype.itemsize]
        bits = rng.integers(0, np.iinfo(word).max, array.shape, dtype=word, endpoint=True)
        odd = rng.choice(np.array([0, 1, 1 << (8 * array.dtype.itemsize - 1)], word), array.shape)
        bits = np.where(rng.random(array.shape) < zeros, odd, bits).astype(word)
        weight.assign(bits.view(array.dtype).reshape(array.shape))
    packed = pack(model)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "m").write_bytes(packed.content)
        assert same(model, engine.load_packed(Path(folder) / "m"))


def test_shared_and_nested_layers_batchnorm_and_seeds(tmp_path):
    def part(name: str) -> keras.Model:
        return keras.Sequential(
            [
                keras.Input((8,)), keras.layers.Dense(4), keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.5, seed=3),
            ],
            name=name,
        )  # fmt: skip

    inputs = keras.Input((8,))
    shared = keras.layers.Dense(8)
    both = keras.layers.Concatenate()([part("a")(shared(shared(inputs))), part("b")(inputs)])
    model = keras.Model(inputs, both)
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(16, 8)), rng.normal(size=(16, 8)), verbose=0)
    save_packed(model, tmp_path / "m")
    again = engine.load_packed(tmp_path / "m")
    assert same(model, again)
    assert not again.compiled
    assert len(again.weights) == len(model.weights)


def dense_of(groups: object, units: int = 2) -> bytes:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    return forged({"config": config, "groups": groups})


@pytest.mark.parametrize(
    "group",
    [
        ["float32", [[0, 0, 4, [2, 2], []], [1, 0, 2, [2], []]], [[0, 6, 1 << 60]] * 4],  # a stream beyond the file
        ["float32", [[0, 0, 1 << 60, [2, 2], []], [1, 0, 2, [2], []]], [[0, 6, 6]] * 4],  # more values than entries
        ["float32", [[0, 3, 4, [2, 2], [2, 1 << 60, 9]], [1, 0, 2, [2], []]], [[0, 6, 6]] * 4],  # endless positions
        ["float32", [[0, 0, 4, [2, 2], []], [1, 0, 2, [2], []]], [[9, 6, 0]] * 3],  # a plane too few
        ["float32", [[0, 0, 4, [1 << 40, 1 << 40], []], [1, 0, 2, [2], []]], [[0, 6, 6]] * 4],  # another shape
        ["float64", [[0, 0, 4, [2, 2], []], [1, 0, 2, [2], []]], [[0, 6, 0]] * 8],  # another type
        ["object", [[0, 0, 4, [2, 2], []], [1, 0, 2, [2], []]], [[0, 6, 0]] * 8],
        ["finfo", [[0, 0, 4, [2, 2], []], [1, 0, 2, [2], []]], [[0, 6, 0]] * 8],
        ["float32", [[0, -1, 4, [2, 2], []], [1, 0, -2, [2], []]], [[0, 6, 6]] * 4],
        ["float32", [[0, 0, 4, [2, 2], []], [0, 0, 2, [2], []]], [[0, 6, 6]] * 4],  # one weight twice
        [[], 3, None],
    ],
)
def test_what_was_made_to_do_harm_is_refused_in_little_memory(tmp_path, group):
    (tmp_path / "m").write_bytes(dense_of([group]))
    engine.load_packed  # noqa: B018 - imported before memory is watched
    tracemalloc.start()
    try:
        with pytest.raises((DataError, ModelError)):
            engine.load_packed(tmp_path / "m")
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


def test_depth_without_end_is_refused(tmp_path):
    text = b"[" * 200_000
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=_DICTIONARY)
    packed = squeezed.compress(text) + squeezed.flush()
    body = MAGIC + struct.pack("<II", len(packed), len(text)) + packed
    (tmp_path / "m").write_bytes(body + struct.pack("<I", zlib.crc32(body)))
    with pytest.raises(DataError, match="makes no sense"):
        engine.load_packed(tmp_path / "m")


def test_a_file_cut_anywhere_is_refused(tmp_path):
    content = pack(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])).content
    for end in range(0, len(content), 7):
        (tmp_path / "m").write_bytes(content[:end])
        with pytest.raises(DataError):
            engine.load_packed(tmp_path / "m")


def test_a_vocabulary_cannot_be_packed(tmp_path):
    layer = keras.layers.StringLookup(vocabulary=["a", "b"])
    model = keras.Sequential([keras.Input((1,), dtype="string"), layer])
    with pytest.raises(ModelError, match="vocabulary"):
        save_packed(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()
