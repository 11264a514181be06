from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import PruneError
from engine.scopes import selecting
from engine.scopes.selecting import exact, keep_highest, kept


def reference(arrays, keep):
    flat = np.concatenate([a.reshape(-1) for a in arrays]).astype(np.float64)
    mask = np.zeros(flat.size, bool)
    mask[np.argsort(-flat, kind="stable")[:keep]] = True
    cuts = np.cumsum([a.size for a in arrays])[:-1]
    return [m.reshape(a.shape) for m, a in zip(np.split(mask, cuts), arrays, strict=True)]


def test_counts_are_exact():
    assert kept(100, 0.29) == 71  # 0.29 * 100 is 28.999999999999996
    assert kept(100, np.float64(0.29)) == 71
    assert kept(100, np.float32(0.29)) == 71
    assert kept(3, Fraction(1, 3)) == 2
    assert (kept(7, 0), kept(7, 1), kept(0, 0.5)) == (7, 0, 0)
    assert exact(0.29) == Fraction(29, 100)


@pytest.mark.parametrize("bad", [-0.1, 1.5, float("nan"), "much"])
def test_no_share(bad):
    with pytest.raises(PruneError, match="from 0 to 1"):
        exact(bad)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(-3, 3), min_size=1, max_size=30), min_size=1, max_size=4), st.data())
def test_same_as_a_stable_sort(rows, data):
    arrays = [np.array(r, dtype=np.float32) for r in rows]
    keep = data.draw(st.integers(0, sum(a.size for a in arrays)))
    for mask, wanted in zip(keep_highest(arrays, keep), reference(arrays, keep), strict=True):
        assert np.array_equal(mask, wanted)


@pytest.mark.parametrize("kind", ["normal", "ties", "sorted", "zeros", "constant", "infinite", "spike"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.97, 1.0])
def test_large_arrays_by_bracket(kind, share):
    rng = np.random.default_rng(3)
    size = 3 * selecting.SAMPLE + 17
    scores = {
        "normal": rng.normal(size=size),
        "ties": rng.integers(0, 5, size).astype(float),
        "sorted": np.arange(size, dtype=float),
        "zeros": np.where(rng.random(size) < 0.9, 0.0, rng.random(size)),
        "constant": np.full(size, 2.5),
        "infinite": np.where(rng.random(size) < 0.5, -np.inf, rng.random(size)),
        "spike": np.where(np.arange(size) == 5, 1e30, 1e-30),
    }[kind].astype(np.float32)
    arrays = [scores[: size // 3].reshape(-1, 1), scores[size // 3 :]]
    keep = round(share * size)
    for mask, wanted in zip(keep_highest(arrays, keep), reference(arrays, keep), strict=True):
        assert np.array_equal(mask, wanted)


def test_a_bracket_that_misses_is_widened(monkeypatch):
    scores = np.random.default_rng(0).random(200_000).astype(np.float32)
    for bracket in ((np.float32(0.9), np.float32(0.95)), (np.float32(0.1), np.float32(0.2))):
        monkeypatch.setattr(selecting, "_bracket", lambda *_, b=bracket: b)
        for mask, wanted in zip(keep_highest([scores], 100_000), reference([scores], 100_000), strict=True):
            assert np.array_equal(mask, wanted)


def test_mixed_precision_arrays_keep_their_order():
    arrays = [np.array([0.1, 0.3], np.float32), np.array([0.1, 0.2], np.float64), np.array([0.25], np.float16)]
    assert [m.tolist() for m in keep_highest(arrays, 3)] == [[False, True], [False, True], [True]]


def test_a_nan_is_said():
    with pytest.raises(PruneError, match="not a number"):
        keep_highest([np.array([1.0, np.nan])], 1)
