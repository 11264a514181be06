"""The mathematics of interpolative decomposition against scipy's pivoted QR and numpy's pseudo-inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from engine.errors import DataError
from engine.interpolation.gathering import Gathered, Gram, Halves, Triangle
from engine.interpolation.mixing import error, mixture
from engine.interpolation.pivoting import pivots

KINDS = (Gram, Triangle)


def spectrum(rows, units, low, *, seed=0):
    rng = np.random.default_rng(seed)
    left = linalg.qr(rng.standard_normal((rows, units)), mode="economic")[0]
    right = linalg.qr(rng.standard_normal((units, units)))[0]
    return (left * np.logspace(0, -low, units)) @ right.T


def gathered(kind: type[Gathered], z, *, block=37) -> Gathered:
    sums = kind(z.shape[1])
    for start in range(0, len(z), block):
        sums.add(z[start : start + block])
    return sums


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("low", [0.5, 3, 6])
def test_the_pivots_are_those_of_pivoted_qr(kind, low):
    z = spectrum(300, 40, low)
    upper, order = linalg.qr(z, mode="r", pivoting=True)
    found = pivots(gathered(kind, z))
    assert found.order.tolist() == order.tolist()
    # From a Gram matrix |R[k,k]| has an absolute error of about the square root of float64's rounding.
    assert np.allclose(found.diagonal, np.abs(np.diag(upper)), rtol=1e-9, atol=1e-15 if kind is Triangle else 1e-9)


def test_a_float32_sum_would_stop_where_float64_goes_on():
    z = spectrum(2000, 400, 8)
    order = linalg.qr(z, mode="r", pivoting=True)[1]
    found = pivots(gathered(Gram, z, block=500))
    same = int(np.argmin(found.order == order)) if (found.order != order).any() else 400
    assert same >= 300  # the float32 Gram matrix loses them at 249


def test_the_sizes_are_the_smallest_k_below_epsilon():
    z = spectrum(200, 30, 4)
    diagonal = np.abs(np.diag(linalg.qr(z, mode="r", pivoting=True)[0]))
    found = pivots(gathered(Gram, z))
    for epsilon in (0.5, 0.1, 0.01, 1e-3):
        expected = next((k for k in range(30) if diagonal[k] / diagonal[0] <= epsilon), 30)
        assert found.size(epsilon) == expected
    assert found.size(0.0) == 30
    assert found.size(1.0) == 1  # a layer never becomes empty


@pytest.mark.parametrize("kind", KINDS)
def test_a_hand_calculation(kind):
    # Column 2 = column 0 + column 1; norms 3, 4, 5. Pivots: column 2, then the larger residual of the other two:
    # c0 - (9/25) c2 has norm 3 * 4/5 = 2.4 and c1 - (16/25) c2 has norm 4 * 3/5 = 2.4: a tie, the first one is taken.
    z = np.array([[3.0, 0.0, 3.0], [0.0, 4.0, 4.0], [0.0, 0.0, 0.0]])
    sums = gathered(kind, z)
    found = pivots(sums)
    assert found.order.tolist()[0] == 2
    assert found.diagonal == pytest.approx([5.0, 2.4, 0.0], abs=1e-7)
    mixed = mixture(sums, [0, 1])
    assert mixed == pytest.approx(np.array([[1, 0, 1], [0, 1, 1]]), abs=1e-12)
    assert found.residual[1] == pytest.approx(np.sqrt(2 * 2.4**2 / 50))


@pytest.mark.parametrize("kind", KINDS)
def test_leading_pivots_give_the_papers_t(kind):
    z = spectrum(300, 24, 3, seed=1)
    sums = gathered(kind, z)
    found = pivots(sums)
    upper, order = linalg.qr(z, mode="r", pivoting=True)
    k = 9
    paper = np.zeros((k, 24))
    paper[:, order] = np.hstack([np.eye(k), np.linalg.pinv(upper[:k, :k]) @ upper[:k, k:]])
    rows = np.argsort(order[:k])
    assert np.allclose(found.mixture(sums, k), paper[rows], atol=1e-8)
    assert np.allclose(mixture(sums, found.keep(k)), paper[rows], atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_any_kept_units_get_their_least_squares(kind, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    units, rank = data.draw(st.integers(2, 12)), data.draw(st.integers(1, 12))
    z = rng.standard_normal((50, min(rank, units))) @ rng.standard_normal((min(rank, units), units))
    z *= rng.choice([1e-3, 1.0, 50.0], units)
    keep = np.sort(rng.permutation(units)[: data.draw(st.integers(1, units))])
    sums = gathered(kind, z)
    mixed = mixture(sums, keep)
    assert np.array_equal(mixed[:, keep], np.eye(len(keep)))
    best = z - z[:, keep] @ (np.linalg.pinv(z[:, keep]) @ z)
    ours = z - z[:, keep] @ mixed
    slack = 1e-6
    if kind is Gram:  # squares lose half the digits, of the terms that T adds up
        terms = np.abs(mixed) * np.linalg.norm(z[:, keep], axis=0)[:, None]
        slack = max(slack, 4 * np.sqrt(np.finfo(float).eps) * terms.sum() / np.linalg.norm(z))
    assert np.linalg.norm(ours) <= np.linalg.norm(best) + slack * np.linalg.norm(z)
    assert error(sums, keep, mixed) == pytest.approx(np.linalg.norm(ours) / np.linalg.norm(z), abs=slack)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(40))
def test_dependent_units_of_very_different_scales(kind, seed):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((50, 3)) @ rng.standard_normal((3, 9)) * rng.choice([1e-3, 1.0, 50.0], 9)
    keep = np.sort(rng.permutation(9)[:4])
    sums = gathered(kind, z)
    mixed = mixture(sums, keep)
    missed = np.linalg.norm(z - z[:, keep] @ mixed) / np.linalg.norm(z)
    assert missed < 1e-7  # three of them would do
    assert error(sums, keep, mixed) == pytest.approx(missed, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_dependent_kept_units_get_the_least_norm(kind):
    rng = np.random.default_rng(3)
    one = rng.standard_normal((60, 1))
    z = np.hstack([one, one, one])
    assert mixture(gathered(kind, z), [0, 1]) == pytest.approx(np.array([[1, 0, 0.5], [0, 1, 0.5]]), abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_a_given_ridge_is_the_textbooks(kind):
    z = spectrum(40, 6, 1)
    sums = kind(6, ridge=0.1)
    sums.add(z)
    keep, rest = [0, 2, 3], [1, 4, 5]
    left = z[:, keep].T @ z[:, keep]
    expected = np.linalg.solve(left + 0.1 * np.trace(left) / 3 * np.eye(3), z[:, keep].T @ z[:, rest])
    mixed = mixture(sums, keep)
    assert mixed[:, rest] == pytest.approx(expected, abs=1e-10)
    missed = np.linalg.norm(z - z[:, keep] @ mixed) / np.linalg.norm(z)
    assert error(sums, keep, mixed) == pytest.approx(missed, abs=1e-7)


def test_cross_validation_leaves_exact_dependence_alone():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((64, 4)) @ rng.standard_normal((4, 8))
    sums = gathered(Halves, z, block=16)
    mixed = mixture(sums, [0, 1, 2, 3])
    assert np.allclose(z[:, :4] @ mixed, z, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_beyond_the_rank_nothing_is_lost(kind):
    rng = np.random.default_rng(4)
    z = (rng.standard_normal((200, 5)) @ rng.standard_normal((5, 16))).astype(np.float32)
    sums = gathered(kind, z)
    found = pivots(sums)
    assert found.size(1e-5) == 5
    assert np.allclose(z[:, found.keep(5)] @ found.mixture(sums, 5), z, atol=1e-4)
    assert found.residual[5] < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_all_units_reproduce_themselves_exactly(kind):
    z = spectrum(60, 8, 2)
    sums = gathered(kind, z)
    assert np.array_equal(pivots(sums).mixture(sums, 8), np.eye(8))


@pytest.mark.parametrize("kind", KINDS)
def test_silence_lets_any_unit_go(kind):
    sums = gathered(kind, np.zeros((10, 4), np.float32))
    found = pivots(sums)
    assert found.size(0.1) == 1
    assert found.order.tolist() == [0, 1, 2, 3]
    assert np.array_equal(found.mixture(sums, 1), [[1, 0, 0, 0]])
    assert found.residual.tolist() == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_cut_into_blocks_does_not_matter(kind):
    z = spectrum(120, 10, 2)
    whole, cut = gathered(kind, z, block=120), gathered(kind, z, block=7)
    assert np.allclose(whole.gram(), cut.gram(), rtol=1e-12)
    assert whole.rows == cut.rows == 120
    assert np.array_equal(pivots(whole).order, pivots(cut).order)


def test_values_that_are_not_finite_are_said():
    sums = Gram(2)
    sums.add(np.array([[1.0, np.nan]]))
    with pytest.raises(DataError, match="not finite"):
        pivots(sums)
    with pytest.raises(DataError, match="expected"):
        sums.add(np.zeros((3, 5)))


def test_memory_does_not_grow_with_the_rows(tmp_path):
    import tracemalloc

    block = np.ones((512, 256), np.float32)
    tracemalloc.start()
    sums = Gram(256)
    for _ in range(40):
        sums.add(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 256 * 256 * 8 + 2 * block.size * 8
