"""An interpolation error: each layer keeps as many units as it needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.layout import Array
from engine.registry import register


@register("target", "epsilon")
@dataclass(frozen=True)
class Epsilon:
    """The smallest k with `|R[k,k]| / |R[0,0]| <= epsilon` of a column-pivoted QR (Chee et al. 2022).

    Attributes:
        epsilon: relative error allowed in each layer.
    """

    epsilon: float = 0.1

    def final(self) -> float | None:
        """None: each layer's size follows from its activations."""
        return None

    def size(self, diagonal: Array) -> int:
        """How many pivots stay, from the diagonal of R; 0 where it is all zero: any unit may go."""
        values = np.abs(np.asarray(diagonal, dtype=np.float64))
        if not values.size or values[0] == 0:
            return 0
        small = np.flatnonzero(values / values[0] <= self.epsilon)
        return int(small[0]) if small.size else len(values)
