"""Which activation functions treat every channel on its own."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

_known: dict[tuple[int, int], tuple[Any, bool]] = {}


def elementwise(function: Any, rank: int = 2) -> bool:
    """True when f of a tensor is f of each of its entries: found by trying (softmax fails, relu passes).

    Args:
        function: of one tensor.
        rank: of the tensors that it is given here: what sums over the last axis but one does not show on a matrix.
    """
    if function is None:
        return True
    if (id(function), rank) not in _known:
        _known[id(function), rank] = function, _try(function, rank)
    return _known[id(function), rank][1]


def _try(function: Any, rank: int) -> bool:
    shape = (2, *[3] * (rank - 2), 12) if rank > 1 else (12,)
    x = np.linspace(-3.0, 3.0, math.prod(shape), dtype=np.float32).reshape(shape)
    stays = np.random.default_rng(0).random(shape) < 0.5
    around = tuple(range(rank))
    try:
        given = (x, np.where(stays, x, x + 1.7), np.flip(x, around))
        one, two, turned = (np.asarray(function(keras.ops.convert_to_tensor(g.astype(np.float32)))) for g in given)
    except Exception:  # whatever it needs, it is no function of one number
        return False
    if not one.shape == two.shape == turned.shape == shape:
        return False
    # Turned around, so is what comes out: a vector of one number a channel would stay where it is.
    close = [
        np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in ((one[stays], two[stays]), (one, np.flip(turned, around)))
    ]
    return all(close)
