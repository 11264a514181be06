from __future__ import annotations

import keras
import numpy as np
import pytest

from engine import catalog
from engine.errors import PruneError, UnknownName
from engine.models.optimizers import CLASSES, make_optimizer


def test_the_catalog_and_the_code_name_the_same() -> None:
    assert set(catalog.entries("optimizer")) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_every_optimizer_is_built_and_steps(name: str) -> None:
    optimizer = make_optimizer(name, {"learning_rate": 0.5, "global_clipnorm": 1.0, "use_ema": True})
    variable = keras.Variable(np.ones((2, 2), np.float32))
    optimizer.build([variable])
    optimizer.apply([keras.ops.ones((2, 2))])
    assert optimizer.use_ema
    assert not np.array_equal(variable.numpy(), np.ones((2, 2)))
    assert type(optimizer).__name__ == CLASSES[name]


def test_sgd_with_momentum_by_hand() -> None:
    optimizer = make_optimizer("sgd", {"learning_rate": 0.1, "momentum": 0.5})
    variable = keras.Variable(np.array([1.0]))
    optimizer.build([variable])
    for _ in range(2):
        optimizer.apply([keras.ops.ones((1,))])
    np.testing.assert_allclose(variable.numpy(), [1 - 0.1 - (0.1 + 0.05)], rtol=1e-6)


def test_the_rate_may_be_a_schedule_and_the_precision_mixed() -> None:
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([5], [0.3, 0.1])
    optimizer = make_optimizer("adam", rate=schedule, mixed_precision=True)
    assert type(optimizer).__name__ == "LossScaleOptimizer"
    np.testing.assert_allclose(optimizer.learning_rate, 0.3)


def test_what_does_not_go_is_said() -> None:
    with pytest.raises(UnknownName, match="adam"):
        make_optimizer("adm")
    with pytest.raises(PruneError, match="Did you mean momentum"):
        make_optimizer("sgd", {"momentun": 0.9})
    with pytest.raises(PruneError, match="exclude each other"):
        make_optimizer("sgd", {"clipnorm": 1.0, "global_clipnorm": 1.0})
