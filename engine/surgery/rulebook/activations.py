"""Which activation functions treat every channel on its own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

_known: dict[int, tuple[Any, bool]] = {}


def elementwise(function: Any) -> bool:
    """True when f of a vector is f of each of its entries: found by trying (softmax fails, relu passes)."""
    if function is None:
        return True
    if id(function) not in _known:
        _known[id(function)] = function, _try(function)
    return _known[id(function)][1]


def _try(function: Any) -> bool:
    row = np.linspace(-3.0, 3.0, 12, dtype=np.float32).reshape(1, 12)
    other = row.copy()
    other[0, 1::2] += 1.7
    try:
        one, two = (np.asarray(function(keras.ops.convert_to_tensor(x))) for x in (row, other))
    except Exception:  # whatever it needs, it is no function of one number
        return False
    return one.shape == row.shape and bool(np.allclose(one[0, ::2], two[0, ::2], rtol=1e-5, atol=1e-6))
