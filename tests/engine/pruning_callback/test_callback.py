from __future__ import annotations

import itertools
import warnings
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import engine
from engine.errors import PruneError, UnknownName
from engine.pruning_callback import Pruning

STEPS, TOTAL = 8, 60 + 30  # of an epoch; of both kernels


def test_cubic_meets_every_step_and_the_end_whatever_the_frequency(net: Any, fit: Any, gone: Any) -> None:
    model = net()
    pruning = Pruning(sparsity=0.8, begin=2, end=13, frequency=4)
    history = fit(model, pruning)
    assert [e.step for e in pruning.history] == [2, 6, 10, 13]
    # s_t = 0.8 - 0.8 (1 - (t - 2) / 11)^3
    wanted = [0.8 - 0.8 * (1 - (t - 2) / 11) ** 3 for t in (2, 6, 10, 13)]
    np.testing.assert_allclose([e.target for e in pruning.history], wanted)
    assert [round(e.sparsity * TOTAL) for e in pruning.history] == [int(w * TOTAL + 1e-9) for w in wanted]
    assert gone(model) == 72
    assert history.history["sparsity"][-1] == pytest.approx(0.8)


def test_shares_of_training(net: Any, fit: Any) -> None:
    pruning = Pruning(sparsity=0.5, begin=0.25, end=0.5, frequency=100)
    fit(net(), pruning)
    assert [e.step for e in pruning.history] == [4, 8]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Muon(0.02, use_ema=True),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW(0.02, global_clipnorm=1.0)),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9, gradient_accumulation_steps=2),
    ],
)
def test_optimizers(optimizer: Any, net: Any, fit: Any, gone: Any) -> None:
    model = net(optimizer())
    fit(model, Pruning(sparsity=0.8, end=0.75, frequency=3))
    assert gone(model) == 72


def test_xla(net: Any, fit: Any, gone: Any) -> None:
    model = net(jit_compile=True, steps_per_execution=4)
    fit(model, Pruning(sparsity=0.8, end=0.75, frequency=4))
    assert gone(model) == 72


def test_mirrored_strategy_and_mixed_precision(net: Any, fit: Any, gone: Any) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            model = net(keras.optimizers.Adam(0.02))
    finally:
        keras.config.set_dtype_policy("float32")
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    pruning = Pruning("movement", sparsity=0.8, end=0.75, frequency=3)
    fit(model, pruning)
    assert gone(model) == 72


def test_one_shot_prunes_at_the_end_and_a_second_fit_tunes_what_is_left(net: Any, fit: Any) -> None:
    model = net()
    pruning = Pruning(schedule="one_shot", scope="layer", sparsity=0.5)
    fit(model, pruning, epochs=1)
    assert [e.step for e in pruning.history] == [STEPS]
    assert pruning.masks is not None
    assert pruning.masks.sparsities() == {"a/kernel": 0.5, "b/kernel": 0.5}
    before = model.get_weights()[0]
    fit(model, pruning, epochs=1)
    after = model.get_weights()[0]
    np.testing.assert_array_equal(before == 0, after == 0)
    assert not np.array_equal(before, after)
    pruning.masks.detach()


def test_one_shot_chooses_by_the_averages_that_stay(net: Any, fit: Any) -> None:
    # With use_ema the weights are overwritten after the last epoch; magnitudes must be those of the averages.
    model = net(keras.optimizers.SGD(0.5, use_ema=True))
    fit(model, Pruning(schedule="one_shot", sparsity=0.5))
    twin = net(keras.optimizers.SGD(0.5, use_ema=True))
    fit(twin)
    keep = engine.choose(engine.score(twin, "magnitude"), 0.5)
    np.testing.assert_array_equal(model.get_weights()[0] != 0, keep["a/kernel"])


def test_at_init_keeps_what_snip_says_of_the_first_weights(net: Any, fit: Any, data: Any) -> None:
    model = net()
    keep = engine.choose(engine.score(model, "snip", data), 0.7)
    pruning = Pruning("snip", schedule="at_init", sparsity=0.7, data=data)
    fit(model, pruning, epochs=1)
    assert [e.step for e in pruning.history] == [0]
    np.testing.assert_array_equal(model.get_weights()[0] != 0, keep["a/kernel"])


@pytest.mark.parametrize("grow", ["gradient", "random"])
def test_drop_grow_moves_and_keeps_the_count(grow: str, net: Any, fit: Any) -> None:
    model = net(keras.optimizers.Adam(0.05))
    counts: list[int] = []
    places: list[Any] = []

    class Look(keras.callbacks.Callback):  # type: ignore[misc, valid-type]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            masks = pruning.masks.arrays()  # type: ignore[union-attr]
            counts.append(sum(int(m.sum()) for m in masks.values()))
            places.append(masks["a/kernel"])

    pruning = Pruning(schedule="drop_grow", grow=grow, frequency=4, end=0.75, sparsity=0.5, scope="erk")
    fit(model, pruning, Look())
    assert [e.step for e in pruning.history] == [0, 4, 8]
    assert set(counts) == {45}
    assert not np.array_equal(places[0], places[-1])
    weights = model.get_weights()[0]
    assert (weights[~places[-1]] == 0).all()


def test_rigl_grows_where_the_last_gradient_is_largest(net: Any, data: Any) -> None:
    from engine.schedules.drop_grow import DropGrow, move

    start = net().get_weights()
    model = net(keras.optimizers.SGD(0.0))  # weights stand still, so the gradient can be taken again
    pruning = Pruning(schedule="drop_grow", frequency=2, end=4, share=0.5, sparsity=0.5, scope="layer")
    masks: list[Any] = []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: masks.append(pruning.masks.arrays())  # type: ignore[union-attr]
    )
    model.fit(*data, batch_size=64, epochs=4, verbose=0, callbacks=[pruning, look])
    twin = net()
    for i, key in ((0, "a/kernel"), (2, "b/kernel")):
        twin.weights[i].assign(np.where(masks[0][key], start[i], 0))
    with tf.GradientTape() as tape:
        loss = twin.compute_loss(*data, twin(data[0], training=True))
    grads = tape.gradient(loss, twin.trainable_variables)
    share = DropGrow(share=0.5, end=4).moving(2, 4)
    for i, key in ((0, "a/kernel"), (2, "b/kernel")):
        wanted = move(twin.weights[i].numpy(), masks[0][key], np.abs(grads[i].numpy()), share).mask
        np.testing.assert_array_equal(masks[1][key], wanted)
        assert not np.array_equal(masks[1][key], masks[0][key])


def test_movement_adds_up_over_the_steps(net: Any, fit: Any) -> None:
    # Plain SGD: w changes by -lr g each step, so -sum w g can be read off the path of the weights.
    model = net(keras.optimizers.SGD(0.05))
    path: list[Any] = []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: path.append(model.get_weights()[0].astype(np.float64))
    )
    pruning = Pruning("movement", schedule="one_shot", sparsity=0.5, scope="layer")
    last: list[Any] = []
    end = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: last.append(model.get_weights()[0]))
    fit(model, look, end, pruning, epochs=1)
    path.append(last[0].astype(np.float64))
    scores = sum(w * (after - w) / 0.05 for w, after in itertools.pairwise(path))
    keep = engine.choose({"k": np.asarray(scores)}, 0.5)["k"]
    assert pruning.masks is not None
    np.testing.assert_array_equal(pruning.masks.arrays()["a/kernel"], keep)


@pytest.mark.parametrize(
    ("params", "check"),
    [
        ({"granularity": "block:2x1"}, lambda m: (m.reshape(3, 2, 10).all(1) | ~m.reshape(3, 2, 10).any(1)).all()),
        ({"granularity": "1:2"}, lambda m: (m.reshape(3, 2, 10).sum(1) == 1).all()),
        ({"scope": "neuron"}, lambda m: (m.sum(0) == 3).all()),
        ({"scope": "global", "skip": ["b"]}, lambda m: m.sum() == 30),
    ],
)
def test_granularities_and_scopes(params: dict[str, Any], check: Any, net: Any, fit: Any) -> None:
    pruning = Pruning(schedule="at_init", sparsity=0.5, **params)
    fit(net(), pruning, epochs=1)
    assert pruning.masks is not None
    assert check(pruning.masks.arrays()["a/kernel"])


def test_a_flops_budget_and_a_size_budget(net: Any, fit: Any, gone: Any) -> None:
    model = net()
    pruning = Pruning(schedule="at_init", target={"size": 0.5})
    fit(model, pruning, epochs=1)
    # 103 parameters, 13 of them biases: at most 51 may stay, and the search is as fine as its 12 trials.
    assert 50 <= 103 - gone(model) <= 51
    fast = Pruning(target={"flops": 0.5}, end=0.5, frequency=4)
    fit(net(), fast)
    assert fast.history[-1].sparsity == pytest.approx(0.5, abs=0.1)


def test_steps_per_execution_meets_its_multiples_and_says_what_it_cannot(net: Any, fit: Any, gone: Any) -> None:
    exact = Pruning(sparsity=0.8, begin=0, end=12, frequency=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(net(steps_per_execution=4), exact)
    assert [e.step for e in exact.history] == [0, 4, 8, 12]
    model = net(steps_per_execution=3)
    odd = Pruning(sparsity=0.8, begin=0, end=12, frequency=4)
    with pytest.warns(UserWarning, match="up to 2 steps later"):
        fit(model, odd)
    # Executions end at 3, 6, 8, 11, 14, 16.
    assert [(e.planned, e.step) for e in odd.history] == [(0, 0), (4, 6), (8, 8), (12, 14)]
    assert gone(model) == 72


def test_a_dataset_of_unknown_size(net: Any, data: Any) -> None:
    def batches() -> Any:
        for i in range(0, 64, 8):
            yield data[0][i : i + 8], data[1][i : i + 8]

    signature = (tf.TensorSpec((None, 6)), tf.TensorSpec((None,), tf.int64))
    stream = tf.data.Dataset.from_generator(batches, output_signature=signature)
    with pytest.raises(PruneError, match="total_steps"):
        net().fit(stream, verbose=0, shuffle=False, callbacks=[Pruning(sparsity=0.5, end=0.5)])
    pruning = Pruning(sparsity=0.5, end=0.5, frequency=100, total_steps=16)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*ran out of data")
        net().fit(stream, epochs=2, verbose=0, shuffle=False, callbacks=[pruning])
    assert [e.step for e in pruning.history] == [0, 8]


def test_a_fit_that_begins_later_catches_up(net: Any, fit: Any) -> None:
    pruning = Pruning(sparsity=0.8, begin=0, end=12, frequency=4)
    fit(net(), pruning, epochs=3, initial_epoch=1)
    assert [e.step for e in pruning.history] == [8, 12]


def test_a_fit_that_ends_early_says_so_and_the_next_goes_on(net: Any, fit: Any, gone: Any) -> None:
    model = net()
    pruning = Pruning(sparsity=0.8, begin=0, end=12, frequency=4)
    with pytest.warns(UserWarning, match="before the schedule did"):
        fit(model, pruning, epochs=1)
    fit(model, pruning, epochs=1)
    assert [e.step for e in pruning.history] == [0, 4, 8, 12]
    assert gone(model) == 72


def test_restored_weights_are_masked_again(net: Any, fit: Any, gone: Any) -> None:
    model = net()
    best = keras.callbacks.EarlyStopping("loss", mode="max", patience=5, restore_best_weights=True)  # the first epoch
    fit(model, best, Pruning(sparsity=0.8, begin=8, end=12, frequency=4))
    assert gone(model) == 72


def test_a_saved_model_needs_none_of_this(tmp_path: Any, net: Any, fit: Any, gone: Any) -> None:
    model = net()
    fit(model, Pruning(sparsity=0.8, end=0.5, frequency=4))
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert gone(loaded) == 72


def test_what_does_not_go_is_said_at_once(net: Any, fit: Any) -> None:
    with pytest.raises(UnknownName, match="magnitude"):
        Pruning("magnitud", sparsity=0.5)
    with pytest.raises(PruneError, match="begin"):
        Pruning(sparsity=0.5, begn=3)
    with pytest.raises(PruneError, match="not said once"):
        Pruning()
    with pytest.raises(PruneError, match="outside"):
        Pruning(sparsity=1.5)
    with pytest.raises(PruneError, match="scores on data"):
        Pruning("snip", sparsity=0.5)
    with pytest.raises(PruneError, match="recipe"):
        Pruning(schedule="dynamic", sparsity=0.5)
    with pytest.raises(PruneError, match="recipe"):
        Pruning(target={"accuracy_drop": 0.01})
    with pytest.raises(PruneError, match=r"fixes the sparsity at 0\.5"):
        Pruning(granularity="2:4", sparsity=0.8)
    with pytest.raises(PruneError, match="no target can be met"):
        Pruning(granularity="2:4", target={"flops": 0.8})
    with pytest.raises(PruneError, match=r"cannot be 0\.9"):
        Pruning(granularity="2:4", final=0.9)
    with pytest.raises(PruneError, match=r"cannot be 0\.3"):
        Pruning(granularity="2:4", per_layer={"a": 0.3})
    with pytest.raises(PruneError, match="the same share of every layer"):
        Pruning(granularity="2:4", schedule="iterative", output_share=0.1)
    with pytest.raises(PruneError, match="rounds"):
        fit(net(), Pruning(schedule="iterative", rounds=30, sparsity=0.9), epochs=2)
    assert engine.Pruning is Pruning


def test_units_go_silent_whole_and_shrink_removes_them(fit: Any, data: Any) -> None:
    keras.utils.set_random_seed(2)
    inputs = keras.Input((6,))
    x = keras.layers.BatchNormalization(name="n")(keras.layers.Dense(10, name="a")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, name="b")(keras.layers.ReLU()(x)))
    model.compile(keras.optimizers.Adam(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    pruning = Pruning("l2_norm", granularity="unit", scope="layer", sparsity=0.6, begin=0, end=12, frequency=4)
    fit(model, pruning)
    kernel, bias, gamma, beta = (v.numpy() for v in model.trainable_variables[:4])
    silent = (kernel == 0).all(axis=0)
    assert silent.sum() == 6  # of the 10 that can go; the output layer keeps all
    for vector in (bias, gamma, beta):
        assert (vector[silent] == 0).all()
    small = engine.shrink(model)
    assert small.get_layer("a").units == 4
    np.testing.assert_allclose(small(data[0]), model(data[0]), atol=1e-5)


class Lazy(keras.Model):  # type: ignore[misc]
    """Its weights exist only after its first call."""

    def __init__(self) -> None:
        super().__init__()
        self.first = keras.layers.Dense(10, activation="relu", name="a")
        self.last = keras.layers.Dense(3, name="b")

    def call(self, x: Any) -> Any:
        return self.last(self.first(x))


@pytest.mark.parametrize("kind", ["subclassed", "sequential"])
def test_a_model_that_gets_its_weights_with_its_first_batch(kind: str, fit: Any, gone: Any) -> None:
    keras.utils.set_random_seed(4)
    plain = keras.Sequential([keras.layers.Dense(10, activation="relu"), keras.layers.Dense(3)])
    model = Lazy() if kind == "subclassed" else plain
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss, jit_compile=False)
    pruning = Pruning("synflow", schedule="at_init", sparsity=0.8, iterations=5)
    fit(model, pruning, epochs=1)
    assert [e.step for e in pruning.history] == [0]  # before the first update
    assert gone(model) == 72
    assert int(model.optimizer.iterations.numpy()) == STEPS
