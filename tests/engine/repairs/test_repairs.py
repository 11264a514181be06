"""What a recipe's repairs are made of: parameters, learning rates, soft targets, rewinding."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from engine import catalog
from engine.errors import ModelError
from engine.registry import implementation, make
from engine.repairs.fine_tune import FineTune, soft_cross_entropy
from engine.repairs.rewind import rewind_to, state_of


def test_every_entry_has_its_dataclass_with_the_same_defaults():
    assert set(catalog.entries("repair")) == {"none", "fine_tune", "recalibrate", "interpolate", "rewind"}
    for name, entry in catalog.entries("repair").items():
        assert make("repair", name) == implementation("repair", name)()
        assert entry.title
        assert entry.formula
        entry.words.format(**{p.name: p.default for p in entry.params})


@pytest.mark.parametrize(
    ("schedule", "values"), [("constant", [1, 1, 1]), ("linear", [1, 0.5, 0]), ("cosine", [1, 0.5, 0])]
)
def test_the_learning_rate_over_time(schedule, values):
    rate = FineTune(schedule=schedule, learning_rate=0.2).rate(7.0)
    assert [rate(s) for s in (0, 0.5, 1.0)] == pytest.approx([0.2 * v for v in values], abs=1e-12)
    assert FineTune(schedule=schedule).rate(7.0)(0) == 7.0
    assert FineTune(schedule="cosine", learning_rate=1.0).rate(1)(0.25) == pytest.approx(0.5 + np.sqrt(2) / 4)


def test_soft_targets_by_hand():
    # T = 2: the teacher's logits (2 ln 3, 0) become (3/4, 1/4); equal logits of a student cost ln 2.
    teacher = np.array([[2 * np.log(3.0), 0.0]], np.float32)
    same = soft_cross_entropy(teacher, np.zeros((1, 2), np.float32), temperature=2.0)
    assert float(same[0]) == pytest.approx(np.log(2), rel=1e-6)
    own = soft_cross_entropy(teacher, teacher, temperature=2.0)
    assert float(own[0]) == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)), rel=1e-6)


def test_rewinding_puts_everything_back():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    state = state_of(model)
    first = model.weights[0].numpy()
    for variable in model.weights:
        variable.assign(variable + 1.0)
    assert not np.array_equal(model.weights[0].numpy(), first)
    rewind_to(model, state)
    assert all(np.array_equal(a, b) for a, b in zip(state_of(model).values(), state.values(), strict=True))
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5, name=model.layers[0].name)])
    with pytest.raises(ModelError, match="does not fit"):
        rewind_to(other, state)
