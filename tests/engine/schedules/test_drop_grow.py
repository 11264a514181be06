from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.schedules.drop_grow import DropGrow, move


def test_share_follows_the_cosine():
    rule = DropGrow(share=0.3, end=1000)
    assert rule.moving(0, 2000) == pytest.approx(0.3)
    assert rule.moving(500, 2000) == pytest.approx(0.15)
    assert rule.moving(250, 2000) == pytest.approx(0.15 * (1 + np.sqrt(0.5)))
    assert rule.moving(1000, 2000) == 0.0
    assert rule.events(2000)[:3] == (0, 100, 200)
    assert rule.events(2000)[-1] == 900
    assert DropGrow().events(1000)[-1] == 700  # three quarters of training


def test_move_by_hand():
    weights = np.array([0.5, 0.1, -0.9, 0.0, 0.0, 0.0])
    mask = np.array([True, True, True, False, False, False])
    moved = move(weights, mask, np.array([9.0, 9, 9, 1, 3, 2]), 0.34)
    # k = floor(0.34 * 3) = 1: 0.1 goes; its own gradient is the largest of what is inactive then, so it comes back.
    assert moved.mask.tolist() == [True, True, True, False, False, False]
    assert not moved.grown.any()
    moved = move(weights, mask, np.array([9.0, 0, 9, 1, 3, 2]), 0.34)
    assert moved.mask.tolist() == [True, False, True, False, True, False]
    assert moved.grown.tolist() == [False, False, False, False, True, False]


def test_active_is_read_from_the_mask():
    # A weight that is 0 but active is dropped first; a value under the mask does not make it active.
    moved = move(np.array([0.0, 2.0, 5.0]), np.array([True, True, False]), np.array([0.0, 0.0, 1.0]), 0.5)
    assert moved.mask.tolist() == [False, True, True]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000), st.integers(1, 60), st.floats(0, 1), st.floats(0, 1))
def test_as_many_stay_active(seed, size, density, share):
    rng = np.random.default_rng(seed)
    mask = rng.random(size) < density
    weights = rng.normal(size=size) * mask
    moved = move(weights, mask, rng.random(size), share)
    assert moved.mask.sum() == mask.sum()
    assert not (moved.grown & mask).any()
    assert (moved.mask & ~mask == moved.grown).all()
    count = int(share * mask.sum())
    assert (mask & ~moved.mask).sum() <= count


def test_the_count_is_exact():
    weights, mask = np.arange(1.0, 201.0), np.arange(200) < 100
    moved = move(weights, mask, np.arange(200.0), 0.29)  # in floating point 0.29 * 100 is 28.999
    assert moved.grown.sum() == 29
