"""Zeros stay exactly zero, through everything that is known to break a naive mask. Each test fails without its cure."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import engine
from engine.errors import ModelError, UnknownName
from engine.masks import attach

KERNEL = "a/kernel"


def data(n: int = 48) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 5)).astype("float32"), rng.integers(0, 3, n)


def net(optimizer: Any = "sgd", *, constraint: Any = None, **compile_args: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5,))
    x = keras.layers.Dense(7, activation="relu", name="a", kernel_constraint=constraint)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, name="b", dtype="float32")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **{"jit_compile": False, **compile_args})
    return model


def half(model: keras.Model, key: str = KERNEL) -> dict[str, Any]:
    variable = next(v for v in model.weights if v.path == key)
    return {key: np.random.default_rng(3).random(tuple(variable.shape)) > 0.5}


def fit(model: keras.Model, **kw: Any) -> None:
    x, y = data()
    model.fit(x, y, **{"batch_size": 16, "epochs": 2, "verbose": 0, **kw})


def zeros_exact(model: keras.Model, masks: dict[str, Any]) -> bool:
    weights = {v.path: v.numpy() for v in model.weights}
    # Positive zeros, too: -0.0 would compress worse.
    return all(
        (weights[k][~m] == 0).all() and not np.signbit(weights[k][~m]).any() and (weights[k][m] != 0).any()
        for k, m in masks.items()
    )


class Noisy(keras.optimizers.Optimizer):  # type: ignore[misc]
    """A user's own optimizer, which moves every weight whatever its gradient."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        self.assign_sub(variable, learning_rate * (gradient + 1.0))


OPTIMIZERS = {
    "custom": lambda: Noisy(0.05, use_ema=True),
    "adafactor": lambda: keras.optimizers.Adafactor(0.05),
    "lamb": lambda: keras.optimizers.Lamb(0.05),
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "adamw": lambda: keras.optimizers.AdamW(0.05, weight_decay=0.1),
    "muon": lambda: keras.optimizers.Muon(0.05),
    "clipped": lambda: keras.optimizers.Adam(0.05, global_clipnorm=0.1),
    "accumulating": lambda: keras.optimizers.Adam(0.05, gradient_accumulation_steps=2),
    "ema": lambda: keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.5),
    # Muon spreads its update over masked entries, so its averages are not zero of themselves.
    "muon_ema": lambda: keras.optimizers.Muon(0.05, use_ema=True),
    "ema_overwriting": lambda: keras.optimizers.Adam(0.05, use_ema=True, ema_overwrite_frequency=2),
    "loss_scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.05, use_ema=True)),
    "ftrl": lambda: keras.optimizers.Ftrl(0.05),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_zeros_stay_zero_when_attached_after_an_earlier_fit(name: str) -> None:
    model = net(OPTIMIZERS[name]())
    fit(model)
    masks = half(model)
    held = attach(model, masks)
    assert zeros_exact(model, masks)
    before = model.get_weights()[0]
    fit(model)
    assert zeros_exact(model, masks)
    assert np.isfinite(model.get_weights()[0]).all()
    assert not np.array_equal(before, model.get_weights()[0])
    assert np.array_equal(held.arrays()[KERNEL], masks[KERNEL])


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
def test_xla_and_several_steps_per_execution(jit: bool, steps: int) -> None:
    model = net(keras.optimizers.AdamW(0.05), jit_compile=jit, steps_per_execution=steps)
    masks = half(model)
    attach(model, masks)
    fit(model)
    assert zeros_exact(model, masks)


class Midway(keras.callbacks.Callback):
    def __init__(self, masks: dict[str, Any], seen: list[bool]) -> None:
        super().__init__()
        self.masks, self.seen = masks, seen

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 1 and not self.seen:
            attach(self.model, self.masks)
        if batch >= 1 or self.seen:
            self.seen.append(zeros_exact(self.model, self.masks))


@pytest.mark.parametrize("jit", [False, True])
def test_attached_in_the_middle_of_a_fit(jit: bool) -> None:
    model = net(keras.optimizers.Adam(0.05), jit_compile=jit)
    seen: list[bool] = []
    fit(model, callbacks=[Midway(half(model), seen)])
    assert len(seen) == 5
    assert all(seen)


def test_values_change_in_a_running_fit_without_a_new_trace() -> None:
    model = net(keras.optimizers.Adam(0.05))
    masks = half(model)
    held = attach(model, {KERNEL: np.ones((5, 7))})
    made: list[Any] = []

    class Later(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            made.append(self.model.train_function)
            if epoch == 1:
                held.update(masks)

    fit(model, epochs=3, callbacks=[Later()])
    assert zeros_exact(model, masks)
    assert made[0] is made[2]


def test_averages_are_masked_when_the_mask_comes_after_the_last_step() -> None:
    # Keras overwrites the weights with their averages after the last epoch's callbacks.
    model = net(OPTIMIZERS["ema"]())
    masks = half(model)
    held = attach(model, {KERNEL: np.ones((5, 7))})
    last = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: held.update(masks))
    fit(model, epochs=1, callbacks=[last])
    assert zeros_exact(model, masks)


@pytest.mark.parametrize("name", ["clipped", "muon"])
def test_masked_weights_do_not_move_the_kept_ones(name: str) -> None:
    # Hand over a gradient that is huge where the mask is 0: the kept weights must move as if it were nothing.
    moved = []
    for huge in (0.0, 1e6):
        model = net(OPTIMIZERS[name]())
        masks = half(model)
        attach(model, masks)
        grads = [tf.ones(v.shape) for v in model.trainable_variables]
        grads[0] = tf.where(masks[KERNEL], grads[0], huge)
        model.optimizer.apply(grads, model.trainable_variables)
        moved.append(model.get_weights())
    for one, other in zip(*moved, strict=True):
        np.testing.assert_array_equal(one, other)


def test_stale_momentum_of_what_is_masked_now_moves_nothing() -> None:
    model = net(OPTIMIZERS["muon"]())
    fit(model)
    masks = half(model)
    attach(model, masks)
    momentum = model.optimizer.momentums[0].numpy()
    assert (momentum[~masks[KERNEL]] == 0).all()
    assert (momentum[masks[KERNEL]] != 0).any()


def test_adagrad_starts_its_accumulator_anew() -> None:
    model = net(keras.optimizers.Adagrad(0.05, initial_accumulator_value=0.3))
    fit(model)
    masks = half(model)
    held = attach(model, masks)
    np.testing.assert_allclose(model.optimizer._accumulators[0].numpy()[~masks[KERNEL]], 0.3)
    held.update({}, reset={KERNEL: masks[KERNEL]})
    np.testing.assert_allclose(model.optimizer._accumulators[0].numpy(), 0.3)
    assert (model.get_weights()[0] == 0).all()


def test_a_later_compile_brings_an_optimizer_that_is_masked_too() -> None:
    model = net("sgd")
    masks = half(model)
    attach(model, masks)
    model.compile(OPTIMIZERS["ema"](), "mse")
    x, _ = data()
    model.fit(x, np.ones((len(x), 3)), epochs=2, verbose=0)
    assert zeros_exact(model, masks)


def test_an_infinite_weight_is_zero_too() -> None:
    model = net()
    masks = half(model)
    model.layers[1].kernel.assign(np.full((5, 7), np.inf))
    attach(model, masks)
    assert (model.get_weights()[0][~masks[KERNEL]] == 0).all()


def test_biases_and_normalisation_can_be_masked() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,))
    x = keras.layers.BatchNormalization(name="n")(keras.layers.Dense(4, name="d")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    unit = np.array([True, False, True, True])
    masks = {"d/kernel": np.broadcast_to(unit, (5, 4)), "d/bias": unit, "n/gamma": unit, "n/beta": unit}
    held = attach(model, masks)
    x, _ = data()
    model.fit(x, np.ones((len(x), 3)), verbose=0)
    assert all((v.numpy()[..., 1] == 0).all() for v in model.weights if v.path in masks)
    assert held.sparsity() == 0.25
    assert held.sparsities() == dict.fromkeys(masks, 0.25)
    with pytest.raises(ModelError, match="not trained"):
        attach(model, {"n/moving_mean": unit})


def test_mixed_precision() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = net(keras.optimizers.Adam(0.05, use_ema=True))
    finally:
        keras.config.set_dtype_policy("float32")
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    fit(model)
    masks = half(model)
    attach(model, masks)
    fit(model)
    assert zeros_exact(model, masks)


@pytest.mark.parametrize("mixed", [False, True])
def test_mirrored_strategy(mixed: bool) -> None:
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        plain = keras.optimizers.AdamW(0.05, global_clipnorm=1.0)
        model = net(keras.optimizers.LossScaleOptimizer(plain) if mixed else plain)
    fit(model)
    masks = half(model)
    held = attach(model, masks)
    fit(model)
    assert zeros_exact(model, masks)
    held.update({KERNEL: ~masks[KERNEL]})
    fit(model)
    assert zeros_exact(model, {KERNEL: ~masks[KERNEL]})


def test_shared_and_nested_layers_carry_one_mask() -> None:
    keras.utils.set_random_seed(0)
    shared = keras.layers.Dense(5, name="shared")
    inputs = keras.Input((5,))
    inner = keras.Sequential([keras.Input((5,)), shared], name="inner")
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(shared(inner(inputs))))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    mask = np.eye(5, dtype=bool)
    held = attach(model, {"inner/shared/kernel": mask})
    x, _ = data()
    model.fit(x, np.ones((len(x), 3)), verbose=0)
    assert (shared.kernel.numpy()[~mask] == 0).all()
    assert held.sparsity() == pytest.approx(0.8)


def test_an_embedding_with_sparse_gradients() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    x = keras.layers.Flatten()(keras.layers.Embedding(7, 4, name="e")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=1.0), "mse")
    mask = np.tile([True, False], (7, 2))
    attach(model, {"e/embeddings": mask})
    model.fit(np.arange(12).reshape(4, 3) % 7, np.ones(4), epochs=2, verbose=0)
    assert (model.get_weights()[0][~mask] == 0).all()


def test_an_existing_constraint_is_composed_and_put_back() -> None:
    model = net(keras.optimizers.SGD(0.5, momentum=0.9), constraint=keras.constraints.UnitNorm(axis=0))
    before = model.layers[1].kernel.constraint
    masks = half(model)
    held = attach(model, masks)
    fit(model)
    kernel = model.get_weights()[0]
    assert (kernel[~masks[KERNEL]] == 0).all()
    # The norm is that of the kept weights, so it is 1 after the masking as well.
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 1.0, rtol=1e-5)
    held.detach()
    assert model.layers[1].kernel.constraint is before


def test_detach_frees_the_weights_and_every_hook() -> None:
    model = net(keras.optimizers.Adam(0.05))
    masks = half(model)
    held = attach(model, masks)
    fit(model)
    held.detach()
    held.detach()
    assert not held.attached
    assert model.layers[1].kernel.constraint is None
    assert "apply" not in vars(model.optimizer)
    assert "make_train_function" not in vars(model)
    fit(model)
    assert (model.get_weights()[0][~masks[KERNEL]] != 0).any()


def test_two_handles_detach_in_any_order() -> None:
    model = net(keras.optimizers.Adam(0.05))
    masks = half(model)
    first = attach(model, {KERNEL: ~masks[KERNEL] | (np.arange(7) > 2)})
    second = attach(model, masks)
    first.detach()
    fit(model)
    assert zeros_exact(model, masks)
    second.detach()
    assert model.layers[1].kernel.constraint is None
    assert "apply" not in vars(model.optimizer)


def test_what_is_saved_is_an_ordinary_model(tmp_path: Any) -> None:
    model = net(keras.optimizers.Adam(0.05))
    masks = half(model)
    attach(model, masks)
    fit(model)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
    x, _ = data()
    np.testing.assert_array_equal(model(x), loaded(x))
    assert loaded.layers[1].kernel.constraint is None
    assert [v.path for v in loaded.weights] == [v.path for v in model.weights]
    fit(loaded)
    model.export(tmp_path / "saved", verbose=False)


@pytest.mark.parametrize("jit", [False, True])
def test_a_training_loop_of_ones_own(jit: bool) -> None:
    model = net()
    masks = half(model)
    held = attach(model, masks)
    optimizer = keras.optimizers.Adam(0.05, use_ema=True, global_clipnorm=0.1)
    optimizer.build(model.trainable_variables)
    held.watch(optimizer)
    x, y = data()
    x, y = tf.constant(x), tf.constant(y)

    @tf.function(jit_compile=jit)
    def steps(n: Any) -> Any:
        for _ in tf.range(n):
            with tf.GradientTape() as tape:
                loss = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, model(x), from_logits=True))
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    steps(tf.constant(4))
    assert zeros_exact(model, masks)
    optimizer.finalize_variable_values(model.trainable_variables)
    assert zeros_exact(model, masks)
    with tf.GradientTape() as tape:
        loss = keras.ops.sum(model(x))
    grads = tape.gradient(loss, model.trainable_variables)
    masked = held.gradients(grads, model.trainable_variables)
    assert (masked[0].numpy()[~masks[KERNEL]] == 0).all()
    np.testing.assert_array_equal(masked[1], grads[1])


def test_a_weight_that_comes_back_starts_at_zero_with_clean_slots() -> None:
    model = net(keras.optimizers.Adam(0.05))
    masks = half(model)
    held = attach(model, masks)
    fit(model)
    held.update({KERNEL: np.ones((5, 7), bool)})
    assert held.sparsity() == 0
    momentum = model.optimizer._momentums[0].numpy()
    assert (momentum[~masks[KERNEL]] == 0).all()
    assert zeros_exact(model, masks)
    fit(model)
    assert (model.get_weights()[0][~masks[KERNEL]] != 0).any()


def test_bad_input_is_said_clearly() -> None:
    model = net()
    with pytest.raises(UnknownName, match="a/kernel"):
        attach(model, {"a/kernal": np.ones((5, 7))})
    with pytest.raises(ModelError, match=r"\(7, 5\)"):
        attach(model, {KERNEL: np.ones((7, 5))})
    with pytest.raises(ModelError, match="only 0 and 1"):
        attach(model, {KERNEL: np.full((5, 7), 0.5)})
    with pytest.raises(ModelError, match="no variables"):
        attach(keras.Sequential([keras.layers.Dense(3)]), {})
    with pytest.raises(UnknownName):
        attach(model, half(model)).update({"b/kernel": np.ones((7, 3))})
    assert engine.attach is attach
