"""The exact choice of the k highest of many million scores: bracket the threshold, then select inside the bracket."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from engine.errors import PruneError

Array = np.ndarray[Any, Any]
SAMPLE = 1 << 17
BLOCK = 1 << 18  # scores at a time: they and their comparisons stay in the cache
SIGMAS = 4.0


def kept(total: int, sparsity: float | Fraction) -> int:
    """`total - floor(sparsity * total)` in exact arithmetic: 0.29 of 100 is 29, not 28.

    Raises:
        PruneError: the sparsity is no number from 0 to 1.
    """
    share = exact(sparsity)
    return total - math.floor(share * total)


def exact(share: float | Fraction) -> Fraction:
    """A share as a person writes it (`0.29` is 29/100), as a fraction from 0 to 1."""
    try:
        value = share if isinstance(share, Fraction) else Fraction(str(share))
    except ValueError:
        value = Fraction(-1)
    if not 0 <= value <= 1:
        raise PruneError(f"a sparsity must be a number from 0 to 1, got {share}")
    return value


def keep_highest(arrays: Sequence[Array], keep: int) -> list[Array]:
    """Masks of the `keep` highest scores over all arrays together; among equals the first in order stay.

    A random sample of the scores brackets the threshold; one pass counts what lies above the bracket and collects what
    lies inside; the exact threshold is selected among these. A bracket that misses is widened.

    Args:
        arrays: scores of any shapes; -inf is allowed and goes first.
        keep: how many stay, from 0 to the number of scores.

    Raises:
        PruneError: there is a NaN among the scores.
    """
    total = sum(a.size for a in arrays)
    dtype = np.result_type(np.float32, *(a.dtype for a in arrays))
    flat = [np.ascontiguousarray(a, dtype=dtype).reshape(-1) for a in arrays]
    masks = [np.empty(a.size, dtype=bool) for a in flat]
    low, high = _bracket(flat, total, keep)
    while True:
        above, places, values = _split(flat, masks, low, high)
        need = keep - above
        inside = sum(len(v) for v in values)
        if need < 0:
            low, high = high, dtype.type(np.inf)
        elif need > inside:
            low, high = dtype.type(-np.inf), low
        else:
            break
    if need:
        _fill(masks, places, values, need)
    return [m.reshape(a.shape) for m, a in zip(masks, arrays, strict=True)]


def check_numbers(scores: Array) -> None:
    """Raises for a NaN: it has no place in an order.

    Raises:
        PruneError: there is one.
    """
    if scores.size and np.isnan(scores.min()):
        raise PruneError("there are scores that are not a number", todo="The weights or gradients may have diverged")


def _bracket(flat: Sequence[Array], total: int, keep: int) -> tuple[Any, Any]:
    """Bounds that hold the threshold in all but one case of some ten thousand."""
    dtype = flat[0].dtype if flat else np.dtype(np.float32)
    if total <= SAMPLE:
        return dtype.type(-np.inf), dtype.type(np.inf)
    rng = np.random.default_rng(0)
    parts = [a[rng.integers(0, a.size, max(1, SAMPLE * a.size // total))] for a in flat if a.size]
    sample = np.sort(np.concatenate(parts))
    size, share = len(sample), 1 - keep / total
    margin = SIGMAS * math.sqrt(size * share * (1 - share)) + 2
    left, right = math.floor(size * share - margin), math.ceil(size * share + margin)
    return sample[left] if left >= 0 else dtype.type(-np.inf), sample[right] if right < size else dtype.type(np.inf)


def _split(flat: Sequence[Array], masks: Sequence[Array], low: Any, high: Any) -> tuple[int, list[Array], list[Array]]:
    """Writes `score > high` to the masks; gives their number, and places and values from low to high for each array."""
    below, inside = np.empty(BLOCK, dtype=bool), np.empty(BLOCK, dtype=bool)
    above = 0
    places: list[Array] = []
    values: list[Array] = []
    for scores, mask in zip(flat, masks, strict=True):
        found: list[Array] = [np.empty(0, dtype=np.intp)]
        for start in range(0, scores.size, BLOCK):
            block, over = scores[start : start + BLOCK], mask[start : start + BLOCK]
            under, within = below[: block.size], inside[: block.size]
            np.greater(block, high, out=over)
            np.less(block, low, out=under)
            np.equal(over, under, out=within)  # neither: what is not a number lands here, too
            above += int(np.count_nonzero(over))
            found.append(np.flatnonzero(within) + start)
        places.append(np.concatenate(found))
        values.append(scores[places[-1]])
        check_numbers(values[-1])
    return above, places, values


def _fill(masks: Sequence[Array], places: Sequence[Array], values: Sequence[Array], need: int) -> None:
    """Adds the `need` highest of the bracket to the masks."""
    together = np.concatenate(values)
    at = len(together) - need
    threshold = np.partition(together, at)[at]
    ties = need - int(np.count_nonzero(together > threshold))
    for mask, place, value in zip(masks, places, values, strict=True):
        mask[place[value > threshold]] = True
        equal = place[value == threshold][:ties]
        mask[equal] = True
        ties -= len(equal)
