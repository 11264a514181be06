"""`interpolate` against numpy routes of its own: exactness, order, readers of every kind, budgets, what is skipped."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from engine.errors import DataError, ModelError, PruneError, UnknownName
from engine.interpolation.compressing import agreement_of, compress, fold, interpolate
from engine.surgery import remove_units

RNG = np.random.default_rng(7)


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(1)


def shaken(model):
    """Every variable gets values that are not those of an initialiser (BatchNorm's statistics included)."""
    rng = np.random.default_rng(3)
    for v in model.weights:
        low = 0.5 if "variance" in v.path or "gamma" in v.path else -1.0
        v.assign(rng.uniform(low, 1.5, v.shape) * (0.5 if len(v.shape) > 1 else 1.0))
    return model


def mlp():
    return shaken(
        keras.Sequential(
            [
                keras.Input((9,)),
                layers.Dense(12, activation="relu", name="d1"),
                layers.Dense(10, activation="tanh", name="d2"),
                layers.Dense(4, name="out"),
            ]
        )
    )


def cnn():
    return shaken(
        keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                layers.Conv2D(6, 3, padding="same", name="c1"),
                layers.BatchNormalization(name="b1"),
                layers.ReLU(),
                layers.MaxPooling2D(),
                layers.Conv2D(5, 3, name="c2"),
                layers.ReLU(),
                layers.Flatten(),
                layers.Dense(7, activation="relu", name="d"),
                layers.Dense(3, name="out"),
            ]
        )
    )


def residual():
    i = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", name="stem")(i)
    x = layers.BatchNormalization(name="bn0")(x)
    x = layers.ReLU()(x)
    y = layers.Conv2D(4, 3, padding="same", name="a")(x)
    y = layers.ReLU()(y)
    y = layers.Conv2D(6, 3, padding="same", name="b")(y)
    x = layers.ReLU(name="after")(layers.Add()([x, y]))
    z = layers.DepthwiseConv2D(3, name="dw")(x)
    z = layers.Conv2D(5, 1, name="point", activation="relu")(z)
    s = layers.GlobalAveragePooling2D()(x)
    z = layers.Concatenate()([layers.GlobalAveragePooling2D()(z), s])
    return shaken(keras.Model(i, layers.Dense(3, name="out")(z)))


def doubled(model, layer, one, two):
    """Makes unit `two` of a layer the same as unit `one`."""
    for v in model.get_layer(layer).weights:
        value = v.numpy()
        value[..., two] = value[..., one]
        v.assign(value)


def images(n=32):
    return RNG.normal(size=(n, 8, 8, 3)).astype(np.float32)


def close(a, b, tolerance=2e-5):
    return np.abs(np.asarray(a) - np.asarray(b)).max() <= tolerance * max(np.abs(np.asarray(a)).max(), 1e-9)


def test_the_whole_chain_against_numpy():
    model, x = mlp(), RNG.normal(size=(200, 9)).astype(np.float32)
    keep = {"d1": [0, 2, 3, 5, 8, 11], "d2": [1, 4, 6, 7]}
    (w1, b1), (w2, b2), (w3, b3) = (layer.get_weights() for layer in model.layers)
    z1 = np.maximum(x.astype(np.float64) @ w1 + b1, 0)
    t1 = np.linalg.pinv(z1[:, keep["d1"]]) @ z1
    z2 = np.tanh(z1[:, keep["d1"]] @ (t1 @ w2) + b2)  # the net as compressed so far
    t2 = np.linalg.pinv(z2[:, keep["d2"]]) @ z2
    before = [w.copy() for w in model.get_weights()]
    made = compress(model, x, keep=keep)
    assert [tuple(w.shape) for w in made.model.get_weights()] == [(9, 6), (6,), (6, 4), (4,), (4, 4), (4,)]
    assert close(t1 @ w2[:, keep["d2"]], made.model.get_layer("d2").get_weights()[0], 1e-4)
    assert close(t2 @ w3, made.model.get_layer("out").get_weights()[0], 1e-4)
    assert close(z2[:, keep["d2"]] @ (t2 @ w3) + b3, made.model(x), 1e-4)
    assert made.fits[0].error == pytest.approx(
        np.linalg.norm(z1 - z1[:, keep["d1"]] @ t1) / np.linalg.norm(z1), abs=1e-6
    )
    assert [f.reader for f in made.fits] == ["d2", "out"]
    assert made.kept == {k: tuple(v) for k, v in keep.items()}
    assert made.agreement == np.mean(model(x).numpy().argmax(-1) == made.model(x).numpy().argmax(-1))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("build", [mlp, cnn, residual])
def test_keeping_all_changes_nothing(build):
    model = build()
    x = RNG.normal(size=(8, *model.input_shape[1:])).astype(np.float32)
    everything = {layer.name: range(layer.units) for layer in model.layers if isinstance(layer, layers.Dense)}
    made = interpolate(model, x, keep=everything)
    assert np.array_equal(made(x), model(x))
    assert close(interpolate(model, x, epsilon=0.0)(x), model(x))


@pytest.mark.parametrize("method", ["gram", "qr"])
def test_duplicates_go_without_a_trace_through_batchnorm_pooling_and_flatten(method):
    model, x = cnn(), images()
    doubled(model, "c1", 1, 4)
    doubled(model, "b1", 1, 4)
    doubled(model, "c2", 0, 3)
    doubled(model, "d", 2, 6)
    keep = {"c1": [0, 1, 2, 3, 5], "c2": [0, 1, 2, 4], "d": range(6)}
    made = interpolate(model, x, keep=keep, method=method)
    assert made.count_params() < model.count_params()
    held_out = images(16)
    assert close(model(held_out), made(held_out))


def test_a_residual_group_is_folded_into_every_reader():
    model, x = residual(), images()
    for layer in ("stem", "bn0", "b"):
        doubled(model, layer, 2, 5)
    deep = model.get_layer("dw").kernel
    value = deep.numpy()
    value[:, :, 5] = value[:, :, 2]
    deep.assign(value)
    bias = model.get_layer("dw").bias.numpy()
    bias[5] = bias[2]
    model.get_layer("dw").bias.assign(bias)
    made = compress(model, x, keep={"stem": [0, 1, 2, 3, 4]})
    assert made.model.get_layer("b").kernel.shape[-1] == 5
    assert made.model.get_layer("dw").kernel.shape[-2] == 5
    assert {f.reader for f in made.fits} == {"a", "point", "out"}
    assert all(f.error < 1e-4 for f in made.fits)
    held_out = images(16)
    assert close(model(held_out), made.model(held_out))


def test_rank_is_enough_on_these_inputs():
    # 6 inputs span at most 6 dimensions of the 12 units: any 6 independent units are exact on them.
    model = mlp()
    x = RNG.normal(size=(6, 9)).astype(np.float32)
    made = compress(model, x, epsilon=1e-6)
    assert made.sizes["d1"] == (12, 6)
    assert close(model(x), made.model(x), 1e-4)
    assert made.agreement == 1.0


def test_epsilon_sizes_are_those_of_pivoted_qr():
    from scipy import linalg

    model, x = mlp(), RNG.normal(size=(300, 9)).astype(np.float32)
    z = keras.Model(model.inputs[0], model.get_layer("d1").output)(x).numpy().astype(np.float64)
    upper, order = linalg.qr(z, mode="r", pivoting=True)
    ratio = np.abs(np.diag(upper)) / abs(upper[0, 0])
    for epsilon in (0.4, 0.2):
        k = int(np.flatnonzero(ratio <= epsilon)[0])
        made = compress(model, x, epsilon=epsilon)
        assert made.kept["d1"] == tuple(sorted(int(u) for u in order[:k]))
    assert compress(model, x, epsilon={"d2": 0.2}).sizes["d1"] == (12, 12)


def test_the_units_alone_are_those_of_the_smaller_model():
    from engine.interpolation import units_within

    model, x = mlp(), RNG.normal(size=(100, 9)).astype(np.float32)
    before = [w.copy() for w in model.get_weights()]
    kept = units_within(model, x, epsilon=0.3)
    made = compress(model, x, epsilon=0.3)
    assert {k: int(v.sum()) for k, v in kept.items()} == {k: after for k, (_, after) in made.sizes.items()}
    assert tuple(np.flatnonzero(kept["d1"])) == made.kept["d1"]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_interpolation_is_nearer_than_plain_removal():
    from engine.surgery.removal import remove_units

    model, x = residual(), images(64)
    keep = {"stem": [0, 1, 3, 4], "a": [0, 2], "point": [1, 2, 4]}
    plain = remove_units(model, {k: set(range(model.get_layer(k).filters)) - set(v) for k, v in keep.items()})
    held_out = images(32)
    truth = model(held_out).numpy()
    folded = interpolate(model, x, keep=keep)
    assert [tuple(w.shape) for w in folded.weights] == [tuple(w.shape) for w in plain.weights]
    assert np.linalg.norm(folded(held_out) - truth) < 0.7 * np.linalg.norm(plain(held_out) - truth)


@pytest.mark.parametrize("what", ["flops", "size"])
@pytest.mark.parametrize("build", [cnn, residual])
def test_a_budget_is_met(what, build):
    model = build()
    made = compress(model, images(), **{what: 0.5})
    before, after = made.flops if what == "flops" else made.params
    assert 0.3 * before < after <= 0.5 * before
    assert made.model.output_shape == model.output_shape


@pytest.mark.parametrize("how", [{"keep": {"stem": [0, 1, 3, 4], "a": [0, 2], "point": [1, 2, 4]}}, {"epsilon": 0.3}])
def test_one_run_of_the_model_is_the_same_as_one_for_each_reader(how):
    model, x = residual(), images(40)
    once, often = compress(model, x, **how), compress(model, x, batch_size=16, **how)
    assert once.kept == often.kept
    assert [f.reader for f in once.fits] == [f.reader for f in often.fits]
    assert [f.rows for f in once.fits] == [f.rows for f in often.fits]
    assert close(once.model(x), often.model(x), 1e-4)


def test_what_is_not_linear_stays_and_is_said():
    i = keras.Input((6,))
    x = layers.Dense(8, activation="relu", name="wide")(i)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Dense(5, activation="relu", name="next")(x)
    model = keras.Model(i, layers.Dense(2, name="out")(x))
    x = RNG.normal(size=(40, 6)).astype(np.float32)
    made = compress(model, x, keep={"wide": [0, 1], "next": [0, 1, 2]})
    assert made.sizes["wide"] == (8, 8)
    assert made.sizes["next"] == (5, 3)
    assert "norm" in made.skipped["wide"]
    assert "norm" in compress(model, x, epsilon=0.9).skipped["wide"]


def test_silent_layers_keep_one_unit():
    model = mlp()
    model.get_layer("d1").kernel.assign(np.zeros((9, 12)))
    model.get_layer("d1").bias.assign(np.full(12, -1.0))
    x = RNG.normal(size=(20, 9)).astype(np.float32)
    made = compress(model, x, epsilon=0.1)
    assert made.sizes["d1"] == (12, 1)
    assert close(model(x), made.model(x))


def test_cross_validation_helps_where_inputs_are_few_and_harms_nothing_that_is_exact():
    model = mlp()
    keep = {"d1": range(5)}
    held_out = RNG.normal(size=(400, 9)).astype(np.float32)
    truth = model(held_out).numpy()
    missed = {}
    for seed in range(8):
        x = np.random.default_rng(seed).normal(size=(8, 9)).astype(np.float32)
        for ridge in (0.0, None):
            made = interpolate(model, x, keep=keep, ridge=ridge)
            missed.setdefault(ridge, []).append(np.linalg.norm(made(held_out) - truth))
    assert np.mean(missed[None]) < 0.9 * np.mean(missed[0.0])
    doubled(model, "d1", 0, 7)
    everything_else = {"d1": [u for u in range(12) if u != 7]}
    made = interpolate(model, held_out, keep=everything_else, ridge=None)
    assert close(model(held_out), made(held_out))


def test_folding_in_place_is_the_same_function():
    model, x = cnn(), images()
    removed = {"c1": [0, 5], "c2": [1], "d": [0, 1, 2]}
    keep = {"c1": [1, 2, 3, 4], "c2": [0, 2, 3, 4], "d": [3, 4, 5, 6]}
    small = interpolate(model, x, keep=keep)
    fits, skipped = fold(model, x, removed, ridge=0.0)
    assert not skipped
    assert [f.reader for f in fits] == ["c2", "d", "out"]
    assert close(small(x), model(x))
    for v in model.get_layer("d").weights:  # masking what is removed changes nothing now
        value = v.numpy()
        value[..., [0, 1, 2]] = 0
        v.assign(value)
    assert close(small(x), model(x))


def test_half_precision_nested_and_shared_layers_and_datasets(tmp_path):
    import tensorflow as tf

    i = keras.Input((6,))
    shared = layers.Dense(6, activation="relu", name="shared")
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu", name="deep")], name="inner")
    x = layers.Dense(6, activation="relu", name="first")(i)
    x = layers.Dense(3, name="out")(inner(shared(shared(x))))
    model = shaken(keras.Model(i, x))
    data = RNG.normal(size=(64, 6)).astype(np.float32)
    doubled(model, "first", 0, 3)
    doubled(inner, "deep", 1, 2)
    batches = tf.data.Dataset.from_tensor_slices(data).batch(20)
    made = compress(model, batches, keep={"deep": [0, 1, 3, 4, 5, 6, 7]})
    assert close(model(data), made.model(data))
    made.model.save(tmp_path / "small.keras")
    assert close(keras.models.load_model(tmp_path / "small.keras")(data), made.model(data), 1e-6)
    generated = compress(model, iter([data[:30], data[30:]]), keep={"deep": [0, 1, 3, 4, 5, 6, 7]})
    assert close(generated.model(data), made.model(data), 1e-4)
    assert generated.agreement == np.mean(generated.model(data).numpy().argmax(-1) == model(data).numpy().argmax(-1))


def test_what_is_asked_must_make_sense():
    model, x = mlp(), np.zeros((4, 9), np.float32)
    with pytest.raises(PruneError, match="exactly one"):
        interpolate(model, x)
    with pytest.raises(PruneError, match="exactly one"):
        interpolate(model, x, epsilon=0.1, keep={})
    with pytest.raises(PruneError, match="between 0 and 1"):
        interpolate(model, x, epsilon=2.0)
    with pytest.raises(PruneError, match="cross-validation"):
        interpolate(model, x, epsilon=0.1, method="qr", ridge=None)
    with pytest.raises(PruneError, match="ridge must be"):
        interpolate(model, x, epsilon=0.1, ridge=-1.0)
    with pytest.raises(UnknownName, match="d1"):
        interpolate(model, x, keep={"d11": [0]})
    with pytest.raises(UnknownName, match="d1"):
        interpolate(model, x, epsilon={"d11": 0.1})
    with pytest.raises(PruneError, match="no unit"):
        interpolate(model, x, keep={"d1": [12]})
    with pytest.raises(DataError):
        interpolate(model, x[:0], epsilon=0.1)
    model.get_layer("d2").bias.assign(np.full(10, np.nan))
    with pytest.raises(DataError, match="not finite"):
        interpolate(model, x, epsilon=0.1)


def test_agreement_of_binary_and_of_no_classes():
    one = keras.Sequential([keras.Input((2,)), layers.Dense(1, activation="sigmoid", use_bias=False)])
    two = keras.Sequential([keras.Input((2,)), layers.Dense(1, activation="sigmoid", use_bias=False)])
    one.layers[0].kernel.assign([[1.0], [0.0]])
    two.layers[0].kernel.assign([[0.0], [1.0]])
    x = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]], np.float32)
    assert agreement_of(one, two, x) == 0.5
    numbers = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    assert agreement_of(numbers, numbers, x) is None
    numbers.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    assert agreement_of(numbers, numbers, x) == 1.0


def test_units_are_numbers_and_inputs_have_the_models_shape():
    model, x = mlp(), RNG.normal(size=(4, 9)).astype(np.float32)
    for wrong in (np.arange(12) < 5, [0.5], "all", 5, [[1, 2]]):
        with pytest.raises(PruneError, match="interpolate: the units of layer d1 are asked for by whole numbers"):
            interpolate(model, x, keep={"d1": wrong})
    with pytest.raises(PruneError, match=r"np\.flatnonzero"):
        interpolate(model, x, keep={"d1": [True, False]})
    with pytest.raises(PruneError, match="by layer, not as list"):
        interpolate(model, x, keep=[1, 2])
    with pytest.raises(PruneError, match="epsilon must be between 0 and 1, got some"):
        interpolate(model, x, epsilon="some")
    with pytest.raises(DataError, match=r"shape \(5,\) a sample, and sequential\w* reads \(9,\)"):
        interpolate(model, x[:, :5], epsilon=0.1)
    with pytest.raises(ModelError, match="str is no"):
        interpolate("model", x, epsilon=0.1)
    model.get_layer("d2").bias.assign(np.full(10, np.nan))
    with pytest.raises(DataError) as caught:
        interpolate(model, x, epsilon=0.1)
    assert str(caught.value) == "the activations hold values that are not finite. Check the weights and the inputs"
    for wrong in (np.arange(12) < 5, [0.5], "a", 3):
        with pytest.raises(PruneError, match="remove_units: the units of layer d1"):
            remove_units(model, {"d1": wrong})
