"""What is cut as one piece: weights, units, blocks, or n of every m. Scores are pooled to pieces, choices spread back.

`parse` reads the string of a recipe: `weight`, `unit`, `block:4x1`, `2:4`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from engine import catalog
from engine.errors import PruneError
from engine.layout import LAST, Array, Layout
from engine.patterns import agreed_sparsity
from engine.scopes.selecting import check_numbers, exact, keep_highest


class Granularity(Protocol):
    """Pools scores to pieces and spreads a choice of pieces over weights."""

    @property
    def name(self) -> str:
        """The catalog's name."""

    def pool(self, scores: Array, layout: Layout) -> Array:
        """One score a piece; its shape is the granularity's own."""

    def expand(self, keep: Array, shape: tuple[int, ...], layout: Layout) -> Array:
        """A choice of pieces (bool, shaped as `pool` gives) as a mask like the kernel of this shape."""


@dataclasses.dataclass(frozen=True)
class Weight:
    """Each weight is a piece."""

    name: str = dataclasses.field(default="weight", init=False)

    def pool(self, scores: Array, layout: Layout) -> Array:
        """The scores themselves."""
        return scores

    def expand(self, keep: Array, shape: tuple[int, ...], layout: Layout) -> Array:
        """The choice itself."""
        return keep


@dataclasses.dataclass(frozen=True)
class Unit:
    """Each unit is a piece; its score is the sum over its column, or is given as `(units,)`.

    Attributes:
        group: how the scores of coupled units become one (used where a model's groups are known).
    """

    group: str = "sum"
    name: str = dataclasses.field(default="unit", init=False)

    def pool(self, scores: Array, layout: Layout) -> Array:
        """`(units,)`: the sums of the columns."""
        return scores if scores.ndim == 1 else np.asarray(layout.columns(scores).sum(axis=0, dtype=np.float64))

    def expand(self, keep: Array, shape: tuple[int, ...], layout: Layout) -> Array:
        """Each unit's choice, repeated over its column."""
        return keep if len(shape) == 1 else np.array(layout.spread(keep, shape))


@dataclasses.dataclass(frozen=True)
class Block:
    """Blocks of `(rows, cols)` over the kernel as a matrix `(prod(all but out), out)`, aligned at row and column 0.

    Attributes:
        rows, cols: entries along the inputs and along the outputs.
        pooling: `average` or `max` of the entries; at the edge, of those that exist.
    """

    rows: int = 4
    cols: int = 1
    pooling: str = "average"
    name: str = dataclasses.field(default="block", init=False)

    def pool(self, scores: Array, layout: Layout) -> Array:
        """`(ceil(inputs / rows), ceil(outputs / cols))`."""
        flat = matrix(scores, layout)
        if self.pooling == "max":
            return np.asarray(self._windows(flat, -np.inf).max(axis=(1, 3)))
        # In float64, so that equal blocks tie whatever the order of their entries.
        total = self._windows(flat, 0).sum(axis=(1, 3), dtype=np.float64)
        count = np.outer(_lengths(flat.shape[0], self.rows), _lengths(flat.shape[1], self.cols))
        return np.asarray(total / count)

    def expand(self, keep: Array, shape: tuple[int, ...], layout: Layout) -> Array:
        """Each block's choice, repeated over its entries."""
        inputs, outputs = matrix_shape(shape, layout)
        full = np.repeat(np.repeat(keep, self.rows, axis=0)[:inputs], self.cols, axis=1)[:, :outputs]
        return unmatrix(full, shape, layout)

    def _windows(self, flat: Array, fill: float) -> Array:
        high, wide = -flat.shape[0] % self.rows, -flat.shape[1] % self.cols
        if high or wide:
            flat = np.pad(flat, ((0, high), (0, wide)), constant_values=fill)
        return flat.reshape(flat.shape[0] // self.rows, self.rows, flat.shape[1] // self.cols, self.cols)


@dataclasses.dataclass(frozen=True)
class NofM:
    """`n` of every `m` weights along the input channels stay, for each output unit and kernel position.

    A short last group is filled with zeros that go first, so it keeps `min(n, its length)`.
    """

    n: int = 2
    m: int = 4
    name: str = dataclasses.field(default="n:m", init=False)

    def pool(self, scores: Array, layout: Layout) -> Array:
        """The scores themselves: the choice is made group by group, by `pattern`."""
        return scores

    def expand(self, keep: Array, shape: tuple[int, ...], layout: Layout) -> Array:
        """The choice itself."""
        return keep

    def asked(self, sparsity: float | Fraction | None) -> Fraction:
        """The sparsity that a target means: None is the pattern's own, `1 - n/m`; 0 leaves all as it is.

        Raises:
            PruneError: it is another one, or none from 0 to 1.
        """
        return agreed_sparsity(self.n, self.m, None if sparsity is None else exact(sparsity))

    def toward(self, scores: Array, layout: Layout, share: Fraction) -> Array:
        """The mask on the way to the pattern: of what the pattern cuts, the `floor(share * size)` lowest scores go."""
        pattern = self.pattern(scores, layout)
        if pattern is None:
            return np.ones(scores.shape, dtype=bool)
        cut = math.floor(share * scores.size)
        if cut >= scores.size - np.count_nonzero(pattern):
            return pattern
        [mask] = keep_highest([np.where(pattern, np.inf, scores)], scores.size - cut)
        return mask

    def pattern(self, scores: Array, layout: Layout) -> Array | None:
        """The mask, or None where there are no input channels to group (depthwise kernels). Ties: the first stays."""
        if layout.input_axis is None or scores.ndim < 2:
            return None
        check_numbers(scores)
        last = np.moveaxis(scores, layout.input_axis, -1)
        length = last.shape[-1]
        padded = np.full(
            (*last.shape[:-1], length + -length % self.m), -np.inf, dtype=np.result_type(scores, np.float32)
        )
        padded[..., :length] = last
        groups = padded.reshape(*last.shape[:-1], -1, self.m)
        flat = self._first(groups).reshape(padded.shape)[..., :length]
        return np.ascontiguousarray(np.moveaxis(flat, -1, layout.input_axis))

    def _first(self, groups: Array) -> Array:
        """Mask of the n highest of each group (the last axis); among equals the first stay."""
        if self.m > 16:
            keep = np.zeros(groups.shape, dtype=bool)
            np.put_along_axis(keep, np.argsort(-groups, axis=-1, kind="stable")[..., : self.n], values=True, axis=-1)
            return keep
        # Everyone against everyone: ten times faster than sorting many groups of four.
        beaten = np.zeros(groups.shape, dtype=np.int8)
        for i in range(self.m):
            for j in range(i + 1, self.m):
                later = groups[..., j] > groups[..., i]
                beaten[..., i] += later
                beaten[..., j] += ~later
        return beaten < self.n


_CLASSES: dict[str, type[Weight | Unit | Block | NofM]] = {"weight": Weight, "unit": Unit, "block": Block, "n:m": NofM}


def parse(spec: str | Granularity, params: Mapping[str, Any] | None = None) -> Weight | Unit | Block | NofM:
    """A granularity from its string (`weight`, `unit`, `block:4x1`, `2:4`) or its catalog name and parameters.

    Raises:
        PruneError: the string or a parameter cannot be understood.
    """
    if isinstance(spec, Weight | Unit | Block | NofM):
        return dataclasses.replace(spec, **dict(params or {}))
    text, given = str(spec).strip(), dict(params or {})
    if found := re.fullmatch(r"block:(\d+)x(\d+)", text):
        text, given = "block", {"rows": int(found[1]), "cols": int(found[2]), **given}
    elif found := re.fullmatch(r"(\d+):(\d+)", text):
        text, given = "n:m", {"n": int(found[1]), "m": int(found[2]), **given}
    entry = catalog.get("granularity", text)
    for key, value in given.items():
        param = entry.param(key)
        if param is None:
            raise PruneError(f"granularity {text} has no parameter {key!r}")
        if (param.choices and value not in param.choices) or (param.low is not None and value < param.low):
            raise PruneError(f"granularity {spec}: {key} cannot be {value!r}", todo=param.doc)
    made = _CLASSES[text](**given)
    if isinstance(made, NofM) and made.n > made.m:
        raise PruneError(f"granularity {spec} keeps {made.n} of every {made.m}", todo="Write n:m with n at most m")
    return made


def matrix(array: Array, layout: Layout = LAST) -> Array:
    """A kernel as `(prod(all but out), out)`, gates side by side; a view where the units are the last axes."""
    rest, unit = _axes(array.ndim, layout)
    return np.transpose(array, rest + unit).reshape(matrix_shape(array.shape, layout))


def unmatrix(flat: Array, shape: tuple[int, ...], layout: Layout = LAST) -> Array:
    """The inverse of `matrix`."""
    rest, unit = _axes(len(shape), layout)
    order = rest + unit
    return np.ascontiguousarray(np.transpose(flat.reshape([shape[a] for a in order]), np.argsort(order)))


def matrix_shape(shape: tuple[int, ...], layout: Layout = LAST) -> tuple[int, int]:
    """`(prod(all but out), out)`."""
    rest, unit = _axes(len(shape), layout)
    return math.prod(shape[a] for a in rest), math.prod(shape[a] for a in unit)


def _axes(rank: int, layout: Layout) -> tuple[list[int], list[int]]:
    unit = [a % rank for a in layout.unit_axes]
    return [a for a in range(rank) if a not in unit], unit


def _lengths(total: int, step: int) -> Array:
    """How many entries exist in each window of `step`."""
    return np.minimum(step, total - np.arange(0, total, step))
