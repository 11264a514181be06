"""Intervals and tests against published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DataError
from engine.measurement.comparison import agreement, compare, difference, mcnemar, wilson


def table(both: int, only_after: int, only_before: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    after = np.array([True] * (both + only_after) + [False] * (only_before + neither))
    before = np.array([True] * both + [False] * only_after + [True] * only_before + [False] * neither)
    return before, after


def test_newcombe_paired_interval_of_a_published_table():
    # Fagerland, Lydersen and Laake 2014 (airway hyper-responsiveness, 21 children): 1, 1, 7, 12; square-and-add.
    found = difference(*table(1, 1, 7, 12))
    assert found.difference == pytest.approx(-6 / 21)
    assert (found.low, found.high) == pytest.approx((-0.507, -0.026), abs=6e-4)


def test_mcnemar_exact_of_the_same_table():
    assert mcnemar(7, 1) == pytest.approx(0.0703125)  # 2 * (1 + 8) / 2**8
    assert mcnemar(0, 0) == 1.0


def test_wilson_of_a_published_share():
    # Newcombe 1998 ("Two-sided confidence intervals for the single proportion"): 81 of 263 gives 0.2553 to 0.3662.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_the_interval_holds_the_difference_and_turns_with_it(pairs):
    before, after = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    there, back = difference(before, after), difference(after, before)
    assert -1 <= there.low <= there.difference <= there.high <= 1
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


def test_agreement_is_the_share_of_equal_classes():
    before = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    after = np.array([[0.8, 0.2], [0.9, 0.1], [0.1, 0.9], [0.6, 0.4]])
    assert agreement(before, after) == 0.75
    assert agreement(np.array([1, 2, 3]), np.array([1, 2, 0])) == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="cannot be compared"):
        agreement(np.array([1]), np.array([1, 2]))


def test_the_effect_is_told_class_by_class():
    labels = np.array([0, 0, 0, 0, 1, 1])
    found = compare(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 0]), labels)
    assert (found.lost, found.gained, found.agreement) == (2, 0, pytest.approx(4 / 6))
    assert [(c.label, c.recall.before, c.recall.after, c.recall.samples) for c in found.classes] == [
        (0, 0.75, 0.5, 4),
        (1, 1.0, 0.5, 2),
    ]
    assert found.accuracy is not None
    assert found.accuracy.difference == pytest.approx(-2 / 6)


def test_without_labels_there_is_agreement_alone():
    found = compare(np.array([1, 2]), np.array([1, 1]))
    assert (found.agreement, found.accuracy, found.p_value) == (0.5, None, None)
