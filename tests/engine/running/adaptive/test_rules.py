"""The dynamic method's rules against numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.running.adaptive.rules import Columns, LayerRule, accepted, offer, raised, rolled_back
from engine.targets.column_norm import ColumnNorm, column_norms

TARGET = ColumnNorm()
START = LayerRule(alpha=0.5, beta=0.3)


def columns(matrix, mask=None, elsewhere=None):
    matrix = np.asarray(matrix, dtype=float)
    mask = np.ones(matrix.shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    alone = np.zeros(matrix.shape[1]) if elsewhere is None else np.asarray(elsewhere, dtype=float)
    return Columns(matrix, mask, column_norms(matrix, mask), alone)


def test_a_column_under_half_the_mean_goes():
    # c = 1, 2, 3, 10; mu = 4; 0.5 mu = 2: only the first is below; 0.3 of 4 columns is one.
    rule, found = offer(columns([[1, 2, 3, 10]]), START, TARGET)
    assert rule == START
    assert (found.kind, found.units.tolist(), found.count, found.of, found.weights) == ("units", [0], 1, 4, 1)


def test_at_most_the_share_beta_goes_smallest_first():
    # 0.9 mu = 3.6: three stand out; 0.5 of 4 is two, and column 2 has the smallest norm.
    _, found = offer(columns([[3, 2, 1, 10]]), LayerRule(alpha=0.9, beta=0.5), TARGET)
    assert found.units.tolist() == [2, 1]
    assert found.gone.tolist() == [[False, True, True, False]]


def test_norms_are_over_kept_weights_and_active_columns():
    # The last column is gone, the first keeps 3 of (3, 4): c = 3, 8, mu = 5.5; 0.6 mu = 3.3.
    seen = columns([[3, 8, 9], [4, 0, 9]], mask=[[1, 1, 0], [0, 1, 0]])
    assert seen.mean == pytest.approx(5.5)
    assert seen.kept == 3
    _, found = offer(seen, LayerRule(alpha=0.6, beta=0.5), TARGET)
    assert (found.units.tolist(), found.of, found.weights) == ([0], 2, 1)


def test_single_weights_go_where_no_column_stands_out():
    # c = 5, sqrt(25.01); mu = 5.0005, fan 2: threshold 0.5 * 5.0005 / sqrt(2) = 1.768.
    rule, found = offer(columns([[3, 0.1], [4, 5]]), START, TARGET)
    assert (found.kind, found.count, found.of) == ("weights", 1, 4)
    assert found.gone.tolist() == [[False, True], [False, False]]
    assert rule.alpha == 0.5


def test_alpha_rises_at_once_while_there_is_nothing():
    # All weights 1: the threshold is alpha itself, first above at 1.1; 0.3 of 2 columns is none, of 4 weights one.
    rule, found = offer(columns([[1, 1], [1, 1]]), START, TARGET)
    assert rule.alpha == 1.1
    assert (found.kind, found.count) == ("weights", 1)


def test_above_alpha_max_the_layer_is_frozen():
    rule, found = offer(columns([[1, 1], [1, 1]]), START, replace(TARGET, alpha_max=1.0))
    assert rule.frozen
    assert found is None
    assert offer(columns([[1, 2, 3, 10]]), rule, TARGET) == (rule, None)


def test_less_than_one_percent_of_the_weights_is_nothing():
    # 3 of 400 weights are small, in three columns: c = sqrt(19) there, sqrt(20) elsewhere; mu = 4.4552.
    matrix = np.ones((20, 20))
    matrix[0, :3] = 0.0001
    rule, found = offer(columns(matrix), START, TARGET)
    # sqrt(19) = 4.3589 < alpha mu first at alpha 1.0.
    assert rule.alpha == 1.0
    assert (found.kind, found.units.tolist()) == ("units", [0, 1, 2])
    matrix[0, 3] = 0.0001  # four are 1 %
    rule, found = offer(columns(matrix), START, TARGET)
    assert (rule.alpha, found.kind, found.count) == (0.5, "weights", 4)
    # One percent of the layer as it was, however little is left of it.
    kept = np.zeros((20, 20), dtype=bool)
    kept[0] = True
    rule, found = offer(columns(matrix, mask=kept), replace(START, weights_only=True), replace(TARGET, alpha_max=0.6))
    assert (rule.alpha, found.kind, found.count) == (0.5, "weights", 4)
    matrix[0, 3] = 1.0
    assert offer(columns(matrix, mask=kept), replace(START, weights_only=True), replace(TARGET, alpha_max=0.6))[
        0
    ].frozen


def test_a_coupled_column_goes_only_if_it_stands_out_everywhere():
    _, found = offer(columns([[1, 1.5, 3, 10]], elsewhere=[0.6, 0.4, 0, 0]), LayerRule(0.5, 0.6), TARGET)
    assert found.units.tolist() == [1]
    _, found = offer(columns([[1, 1.5, 3, 10]], elsewhere=[np.inf] * 4), LayerRule(0.5, 0.6), TARGET)
    assert found.kind == "weights"


def test_weights_only_asks_for_no_units():
    _, found = offer(columns([[1, 2, 3, 10]]), replace(START, weights_only=True), TARGET)
    assert found.kind == "weights"


def test_a_layer_never_loses_its_last_unit():
    _, found = offer(columns([[1, 1.1]]), LayerRule(alpha=2.0, beta=1.0), TARGET)
    assert found.units.tolist() == [0]


def test_what_a_layer_learns():
    once = rolled_back(START)
    assert (once.beta, once.failures, once.weights_only) == (0.15, 1, False)
    assert accepted(once, TARGET) == LayerRule(alpha=0.6, beta=0.15)
    twice = rolled_back(once)
    assert (twice.beta, twice.failures, twice.weights_only, twice.frozen) == (0.075, 0, True, False)
    assert rolled_back(rolled_back(twice)).frozen
    assert not rolled_back(twice).frozen
    assert not rolled_back(accepted(rolled_back(twice), TARGET)).frozen  # failures must be in a row


def test_alpha_steps_stay_exact():
    rule = START
    for _ in range(20):
        rule = raised(rule, TARGET)
    assert (rule.alpha, rule.frozen) == (2.5, False)
    assert raised(rule, TARGET).frozen


def test_allowed_drop_is_never_finer_than_the_validation_noise():
    assert TARGET.allowed(0.98, 359) == pytest.approx(math.sqrt(0.98 * 0.02 / 359))
    assert TARGET.allowed(0.98, 1_000_000) == 0.005


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.floats(0.05, 1.0), st.floats(0.1, 2.5), st.booleans())
def test_an_offer_keeps_its_limits(seed, beta, alpha, weights_only):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(6, 5)) * rng.uniform(0.1, 3, size=5)
    seen = columns(matrix, mask=rng.random((6, 5)) < 0.8)
    rule, found = offer(seen, LayerRule(alpha, beta, weights_only=weights_only), TARGET)
    assert rule.alpha >= alpha
    if found is None:
        assert rule.frozen
        return
    assert not (found.gone & ~seen.mask).any()
    assert found.weights == np.count_nonzero(found.gone) < max(seen.kept, 1) + (found.kind == "weights")
    assert found.count <= beta * found.of + 1e-9
    if found.kind == "units":
        assert (seen.mask & ~found.gone).any()
