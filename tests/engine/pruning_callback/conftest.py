"""A small network of two kernels, 60 and 30 weights; `fit` trains it in batches of 8, eight an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest


@pytest.fixture(scope="session")
def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(64, 6)).astype("float32"), rng.integers(0, 3, 64)


@pytest.fixture
def net() -> Callable[..., keras.Model]:
    def make(optimizer: Any = "adam", **compile_args: Any) -> keras.Model:
        keras.utils.set_random_seed(2)
        inputs = keras.Input((6,))
        x = keras.layers.Dense(10, activation="relu", name="a")(inputs)
        model = keras.Model(inputs, keras.layers.Dense(3, name="b", dtype="float32")(x))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, **{"jit_compile": False, **compile_args})
        return model

    return make


@pytest.fixture
def fit(data: tuple[Any, Any]) -> Callable[..., Any]:
    def trained(model: keras.Model, *callbacks: Any, epochs: int = 2, **kw: Any) -> Any:
        return model.fit(*data, batch_size=8, epochs=epochs, verbose=0, callbacks=list(callbacks), **kw)

    return trained


@pytest.fixture
def gone() -> Callable[[keras.Model], int]:
    def count(model: keras.Model) -> int:
        return sum(int((v.numpy() == 0).sum()) for v in model.weights if v.path.endswith("kernel"))

    return count
