"""How far apart two models' outputs are."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def largest_difference(wanted: Array, given: Array) -> float:
    """The largest absolute difference of two arrays of one shape; 0 of empty ones.

    Where both are infinite or no number alike there is no difference; where only one is, it is infinite.
    """
    a, b = wanted.astype("f8"), given.astype("f8")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    apart = np.abs(np.where(same, 0.0, b) - np.where(same, 0.0, a))
    return float(np.max(np.nan_to_num(apart, nan=np.inf, posinf=np.inf), initial=0.0))
