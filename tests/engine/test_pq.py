from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine.errors import PruneError
from engine.pq import bound, keep_count

# methods.md §3: share pruned in one step of i.i.d. weights, (p, q) = (1, 2) and (0.5, 1).
ORACLES = {"normal": (0.3634, 0.1528), "uniform": (0.25, 0.1111), "laplace": (0.5, 0.2146)}


@pytest.mark.parametrize("name", ORACLES)
def test_share_pruned_of_known_distributions(name):
    rng = np.random.default_rng(1)
    weights = rng.uniform(-1, 1, 400_000) if name == "uniform" else getattr(rng, name)(size=400_000)
    for (p, q), expected in zip(((1, 2), (0.5, 1)), ORACLES[name], strict=True):
        share = 1 - engine.sap_keep(weights, p, q) / weights.size
        assert share == pytest.approx(expected, abs=2e-3)


def test_index_by_hand():
    # d = 4, one entry: I(1, 2) = 1 - 4^(1/2 - 1) * 1 / 1 = 1/2, the upper bound; I(0.5, 1) = 1 - 4^(1 - 2) = 3/4.
    assert engine.pq_index([0, -3, 0, 0], 1, 2) == pytest.approx(0.5)
    assert engine.pq_index([0, -3, 0, 0]) == pytest.approx(0.75)
    # (3, 4): ||w||_1 = 7, ||w||_2 = 5, I = 1 - 7 / (5 sqrt 2).
    assert engine.pq_index([3, -4], 1, 2) == pytest.approx(1 - 7 / (5 * math.sqrt(2)))


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [2.0, -2.0, 2.0], [1e-30] * 5])
def test_index_is_zero(weights):
    assert engine.pq_index(weights) == pytest.approx(0, abs=1e-12)


def test_small_p_and_float32_do_not_overflow():
    weights = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    # E|w|^p to the 1/p tends to exp(E log|w|) as p tends to 0: sqrt(pi/2) times that for q = 1.
    limit = 1 - math.exp(-(np.euler_gamma + math.log(2)) / 2) * math.sqrt(math.pi / 2)
    assert engine.pq_index(weights, 0.001, 1.0) == pytest.approx(limit, abs=5e-3)
    assert engine.pq_index(weights * 1e30) == pytest.approx(engine.pq_index(weights), rel=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.data())
def test_k_equal_weights_among_zeros_keep_k(d, data):
    k = data.draw(st.integers(1, d))
    w = np.zeros(d)
    w[:k] = 0.3
    assert engine.sap_keep(w, beta=1.0) == k
    assert engine.sap_keep(w, 1, 2, beta=1.0) == k


def test_tiny_p_keeps_every_weight_that_is_there():
    # k equal weights among zeros give r = k for every p, also where 1 - I = (k/d)^(1/p - 1/q) is below 1e-16.
    w = np.zeros(100)
    w[:55] = 1.0
    assert engine.pq_index(w, 0.01, 1.0) == 1.0
    assert engine.sap_keep(w, 0.01, 1.0) == engine.sap_keep(w, 0.001, 0.5) == 55
    assert engine.sap_keep(w, 0.01, 1.0, gamma=2) == 10
    # In 60 digits: r = 55 * 1.1^(-1/0.99) = 49.9519, m = 50, and floor(50 / 2) = 25 of 100 go.
    assert engine.sap_keep(w, 0.01, 1.0, eta=0.1, gamma=0.5) == 75


def test_a_bound_just_above_a_whole_number_is_rounded_up():
    # r = 10^6 (1 - I)^1 = 500000.0005: one more than 500000, which a slack of 1e-9 r would swallow.
    assert keep_count(10**6, 0.4999999995) == 500_001


def test_counts_are_exact():
    # m = ceil(r) = 71 of 100: 29 go. In floating point floor(100 * (1 - 71 / 100)) is 29, but 0.29 * 100 is 28.999.
    assert keep_count(100, 1 - 0.71, p=0.5, q=1.0) == 71
    assert keep_count(100, 0.75, p=0.5, q=1.0, beta=0.29) == 100 - 29
    assert keep_count(100, 0.75, p=0.5, q=1.0, gamma=0.29) == 100 - math.floor(0.29 * 75)
    assert keep_count(100, 0.0, p=0.5, q=1.0, gamma=5) == 100
    assert keep_count(10, 0.9, p=0.5, q=1.0, gamma=1, beta=0.9) == 1
    assert keep_count(0, 0.0) == 0


def test_eta_lowers_the_bound():
    # (1 + eta)^(-q/(q-p)) with q = 1, p = 0.5 is (1 + eta)^-2.
    assert bound(100, 0.0, eta=1.0) == pytest.approx(25)
    assert engine.sap_keep(np.ones(100), eta=1.0) == 25


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=50), st.floats(0.01, 100))
def test_index_is_bounded_and_scale_free(weights, scale):
    w = np.array(weights)
    value = engine.pq_index(w)
    assert 0 <= value <= 1 - w.size ** (1 - 2) + 1e-9
    if np.abs(w).max() > 1e-100:
        assert engine.pq_index(w * scale) == pytest.approx(value, abs=1e-9)
    assert 0 <= engine.sap_keep(w) <= w.size


@pytest.mark.parametrize(("p", "q"), [(1, 1), (2, 1), (0, 1), (-1, 1)])
def test_norms_must_be_in_order(p, q):
    with pytest.raises(PruneError, match="0 < p < q"):
        engine.pq_index([1.0], p, q)


def test_what_is_not_finite_is_said():
    with pytest.raises(PruneError, match="finite"):
        engine.pq_index([1.0, np.nan])


def in_sixty_digits(weights, p, q, eta, gamma, beta):
    """`sap_keep` by the formula, in decimals of sixty digits and whole numbers: nothing of the engine's arithmetic."""
    with localcontext() as context:
        context.prec = 60
        w = [abs(Decimal(float(x))) for x in weights]
        d, low, high = len(w), Decimal(str(p)), Decimal(str(q))
        one = Decimal(1)  # 1 - I
        if any(w):
            norm = {t: sum((x.ln() * t).exp() for x in w if x).ln() / t for t in (low, high)}
            one = (Decimal(d).ln() * (1 / high - 1 / low) + norm[low] - norm[high]).exp()
        slack = ((1 + Decimal(str(eta))).ln() * -high / (high - low)).exp()
        m = math.ceil(d * slack * (one.ln() * (low * high / (high - low))).exp() - Decimal("1e-30"))
        cut = min(math.floor(Fraction(str(gamma)) * (d - m)), math.floor(Fraction(str(beta)) * d))
        return d - min(max(cut, 0), d), float(1 - one)


@pytest.mark.parametrize(
    ("p", "q"), [(0.5, 1.0), (1.0, 2.0), (0.1, 0.2), (0.05, 1.0), (0.99, 1.0), (0.01, 3.0), (1, 10)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_are_those_of_sixty_digits(p, q, dtype):
    rng = np.random.default_rng(7)
    for trial in range(40):
        d = (1, 2, 7, 50, 120)[trial % 5]
        made = (rng.normal(size=d), rng.uniform(-1, 1, d), rng.laplace(size=d) * 1e-30, 1.0 * (rng.random(d) < 0.5))
        weights = made[trial % 4].astype(dtype)
        eta, gamma, beta = (0.0, 0.01, 0.5)[trial % 3], (1.0, 0.29, 2.0)[trial % 3], (0.9, 0.07, 1.0)[trial // 3 % 3]
        keep, index = in_sixty_digits(weights, p, q, eta, gamma, beta)
        assert engine.sap_keep(weights, p, q, eta, gamma, beta) == keep
        assert engine.pq_index(weights, p, q) == pytest.approx(index, abs=1e-9)


@pytest.mark.parametrize(
    "bad", [{"q": math.inf}, {"gamma": math.nan}, {"beta": math.inf}, {"eta": math.nan}, {"eta": -1.0}]
)
def test_parameters_that_are_no_numbers_are_refused(bad):
    with pytest.raises(PruneError):
        engine.sap_keep([1.0, 2.0, 3.0], **bad)
