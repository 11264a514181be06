from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine.data
from engine import catalog
from engine.data.dataset import finish, split
from engine.errors import DataError, PruneError, UnknownName
from engine.registry import implementation


@dataclasses.dataclass(frozen=True)
class Asked:
    limit: int | None = None
    standardize: bool = False
    flip: bool = False
    shift: int = 0


def finished(x: Any, **asked: Any) -> Any:
    y = np.arange(len(x)) % 2
    return finish(
        Asked(**asked), name="t", train=(x, y), val=(x, y), test=(x, y), classes=2, scaling="none", source="here"
    )


@given(st.integers(1, 400), st.integers(0, 5))
@settings(deadline=None, max_examples=25)
def test_split_is_a_partition_of_60_20_20(count: int, seed: int) -> None:
    parts = split(count, seed=seed)
    assert sorted(np.concatenate(parts)) == list(range(count))
    assert [len(p) for p in parts[:2]] == [count * 6 // 10, count * 2 // 10]


def test_the_split_is_the_same_for_ever() -> None:
    # RandomState(0).permutation(10), frozen by NumPy's own promise.
    assert np.concatenate(split(10, seed=0)).tolist() == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]


def test_digits() -> None:
    data = engine.data.load("digits")
    assert data.sizes == (1078, 359, 360)
    assert data.input_shape == (8, 8, 1)
    assert (data.classes, data.outputs) == (10, 10)
    assert (data.x_train.min(), data.x_train.max()) == (0.0, 1.0)
    assert data.x_train.dtype == np.float32
    assert data.y_train.dtype == np.int32
    assert set(data.y_test) == set(range(10))
    again = engine.data.load("digits")
    np.testing.assert_array_equal(data.x_test, again.x_test)


def test_limit_takes_the_first_training_examples_only() -> None:
    data, whole = engine.data.load("digits", limit=50), engine.data.load("digits")
    assert data.sizes == (50, 359, 360)
    np.testing.assert_array_equal(data.x_train, whole.x_train[:50])


def test_standardise_is_per_channel_for_images_and_per_feature_for_tables() -> None:
    rng = np.random.default_rng(0)
    image = finished(rng.normal(3, [1, 5], size=(40, 4, 4, 2)), standardize=True)
    np.testing.assert_allclose(image.x_train.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(image.x_train.std(axis=(0, 1, 2)), 1, atol=1e-5)
    table = finished(np.array([[1.0, 7.0], [3.0, 7.0]]), standardize=True)
    np.testing.assert_allclose(table.x_test, [[-1, 0], [1, 0]])  # a constant feature becomes 0, not NaN


def test_arrays_are_frozen() -> None:
    with pytest.raises(ValueError, match="read-only"):
        engine.data.load("digits").x_train[0] = 0


def test_bad_values_are_said_clearly() -> None:
    with pytest.raises(DataError, match="not finite"):
        finished(np.array([[np.nan], [1.0]]))
    with pytest.raises(DataError, match="empty"):
        finished(np.zeros((0, 2)))
    with pytest.raises(UnknownName, match="digits"):
        engine.data.load("digit")
    with pytest.raises(PruneError, match="Did you mean limit"):
        engine.data.load("digits", limt=3)


@pytest.mark.parametrize("name", catalog.entries("data"))
def test_every_entry_has_its_code_with_the_same_defaults(name: str) -> None:
    entry = catalog.get("data", name)
    for field in dataclasses.fields(implementation("data", name)):
        param = entry.param(field.name)
        assert param is not None
        assert param.required if field.default is dataclasses.MISSING else param.default == field.default
