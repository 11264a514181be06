"""Two classifiers on the same inputs: agreement, and how sure one can be of an accuracy difference.

The intervals are Newcombe's paired score interval (method 10: "Improved confidence intervals for the difference between
binomial proportions based on paired data", Statistics in Medicine 17, 1998), which squares and adds Wilson limits and
corrects for the correlation; the test is McNemar's, exact.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import stats

from engine.errors import DataError
from engine.measurement.values import ClassEffect, Comparison, Interval

Array = np.ndarray[Any, Any]


def agreement(before: Array, after: Array) -> float:
    """Share of inputs on which both predict the same class; outputs `(n, classes)` or classes `(n,)`.

    Raises:
        DataError: when the two are not about the same inputs.
    """
    first, second = _classes(before), _classes(after)
    if first.shape != second.shape:
        raise DataError(f"predictions of shapes {first.shape} and {second.shape} cannot be compared")
    return float(np.mean(first == second)) if first.size else 1.0


def compare(before: Array, after: Array, labels: Array | None = None, *, confidence: float = 0.95) -> Comparison:
    """Compares a model with its reference, input by input.

    Args:
        before: predicted classes of the reference, any shape.
        after: predicted classes of the model, same shape.
        labels: the true classes, same shape; without them only the agreement is known.
        confidence: level of the intervals.
    """
    same = agreement(before, after)
    if labels is None or np.asarray(labels).size == 0:
        return Comparison(agreement=same, confidence=confidence)
    truth = np.asarray(labels).reshape(-1)
    right_before = np.asarray(before).reshape(-1) == truth
    right_after = np.asarray(after).reshape(-1) == truth
    lost, gained = int((right_before & ~right_after).sum()), int((~right_before & right_after).sum())
    classes = tuple(
        ClassEffect(
            label=int(c), recall=difference(right_before[truth == c], right_after[truth == c], confidence=confidence)
        )
        for c in np.unique(truth)
    )
    return Comparison(
        agreement=same,
        accuracy=difference(right_before, right_after, confidence=confidence),
        lost=lost,
        gained=gained,
        p_value=mcnemar(lost, gained),
        classes=classes,
        confidence=confidence,
    )


def difference(before: Array, after: Array, *, confidence: float = 0.95) -> Interval:
    """The paired difference of two shares, `after - before`, with Newcombe's interval.

    Args:
        before: `(n,)` bools: the reference is right.
        after: `(n,)` bools: the model is right on the same input.
        confidence: level of the interval.
    """
    n = len(before)
    both, only_after = int((before & after).sum()), int((~before & after).sum())
    only_before = int((before & ~after).sum())
    neither = n - both - only_after - only_before
    p_after, p_before = (both + only_after) / n, (both + only_before) / n
    low_a, high_a = wilson(both + only_after, n, confidence=confidence)
    low_b, high_b = wilson(both + only_before, n, confidence=confidence)
    phi = _phi(both, only_after, only_before, neither)
    down = _square_and_add(p_after - low_a, high_b - p_before, phi)
    up = _square_and_add(high_a - p_after, p_before - low_b, phi)
    delta = p_after - p_before
    return Interval(
        before=p_before,
        after=p_after,
        difference=delta,
        low=max(-1.0, delta - down),
        high=min(1.0, delta + up),
        samples=n,
    )


def wilson(hits: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (1927), without continuity correction."""
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    p = hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == n else middle + half)


def mcnemar(lost: int, gained: int) -> float:
    """McNemar's exact two-sided p-value: are `lost` and `gained` equally likely? 1 when both are 0."""
    if lost + gained == 0:
        return 1.0
    return float(stats.binomtest(min(lost, gained), lost + gained, 0.5).pvalue)


def _phi(both: int, only_after: int, only_before: int, neither: int) -> float:
    # The correlation of the two columns of the 2x2 table, pulled towards 0 by n / 2 where it is positive (method 10).
    margins = (both + only_after) * (only_before + neither) * (both + only_before) * (only_after + neither)
    if margins == 0:
        return 0.0
    cross = float(both * neither - only_after * only_before)
    if cross > 0:
        cross = max(cross - (both + only_after + only_before + neither) / 2, 0.0)
    return cross / math.sqrt(margins)


def _square_and_add(a: float, b: float, phi: float) -> float:
    return math.sqrt(max(a * a - 2 * phi * a * b + b * b, 0.0))


def _classes(outputs: Array) -> Array:
    outputs = np.asarray(outputs)
    return outputs.argmax(axis=-1) if outputs.ndim > 1 and outputs.dtype.kind == "f" else outputs
