"""What a criterion of units may ask beyond `Context`: what stands around a kernel in the model's graph.

`engine.scoring.units` answers. A unit criterion's result is by kernel key; it may also be by the key of a variable with
one number a unit (gamma), or by layer key, and holds one score a unit. Coupled units are pooled afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from engine.criteria.context import Array, Arrays, Context


@dataclass(frozen=True, eq=False)
class NormValues:
    """The values of a BatchNorm, each `(units,)`.

    Attributes:
        gamma: the scale, or None where it has none.
        variance: the moving variance.
        epsilon: what is added to it.
    """

    gamma: Array | None
    variance: Array
    epsilon: float


class UnitContext(Context, Protocol):
    """A model whose graph can be seen."""

    def scales(self) -> Arrays:
        """|gamma| of every BatchNorm that has one, by the variable's key."""

    def norms(self) -> Mapping[str, NormValues]:
        """By kernel key, the BatchNorm that directly follows the layer; kernels without one are missing."""

    def activations(self, *, needed: bool = False) -> Iterator[Arrays]:
        """What units end in, a batch at a time, by kernel key: `(rows, units)`, one row a sample and position.

        Behind BatchNorm, sums and the nonlinearity, wherever that stands; where none follows, the layer's own output.

        Args:
            needed: kernels that no activation follows are skipped.
        """

    def leaders(self) -> list[str]:
        """Kernel keys such that every group of coupled units is made by at least one of them, and few by several."""

    def pivots(self) -> Arrays:
        """By layer key, `|R[k,k]| / |R[0,0]|` of each unit, k its place among the pivots of what its readers read.

        A group of coupled units comes once, for the first layer that makes it. What cannot be interpolated is skipped.
        """
