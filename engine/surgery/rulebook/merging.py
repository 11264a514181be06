"""Layers with several inputs: Add and its kin (with broadcasting), Concatenate, Dot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from engine.surgery.call import Call
from engine.surgery.flow import Array, Axis, Flow, joined, untracked
from engine.surgery.rules import rule

_K = keras.layers


@rule(_K.Add, "ops.Add")
def add(call: Call) -> Flow:
    """Both sides of a shortcut go together."""
    return merged(call, lambda parts: np.sum(parts, axis=0))


@rule(_K.Subtract, "ops.Subtract")
def subtract(call: Call) -> Flow:
    """As Add."""
    return merged(call, lambda parts: parts[0] - parts[1])


@rule(_K.Average)
def average(call: Call) -> Flow:
    """As Add."""
    return merged(call, lambda parts: np.mean(parts, axis=0))


@rule(_K.Maximum, "ops.Maximum")
def maximum(call: Call) -> Flow:
    """As Add."""
    return merged(call, lambda parts: np.max(parts, axis=0))


@rule(_K.Minimum, "ops.Minimum")
def minimum(call: Call) -> Flow:
    """As Add."""
    return merged(call, lambda parts: np.min(parts, axis=0))


@rule(_K.Multiply, "ops.Multiply")
def multiply(call: Call) -> Flow:
    """As Add; 0 times whatever comes is 0 (a gate, squeeze and excite)."""
    return merged(call, _product, zero_wins=True)


@rule("ops.Divide", "ops.TrueDivide")
def divide(call: Call) -> Flow:
    """As Add."""
    return merged(
        call, lambda parts: np.divide(parts[0], parts[1], out=np.full_like(parts[0], np.nan), where=parts[1] != 0)
    )


@rule("ops.Power")
def power(call: Call) -> Flow:
    """As Add."""
    return merged(call, _power)


@rule("ops.Arctan2", "ops.Where", "ops.SquaredDifference", "ops.Mod", "ops.FloorDivide", "ops.Logaddexp")
@rule("ops.Greater", "ops.GreaterEqual", "ops.Less", "ops.LessEqual", "ops.Equal", "ops.NotEqual", "ops.LogicalAnd")
@rule("ops.LogicalOr", "ops.LogicalXor")
def other(call: Call) -> Flow:
    """Elementwise; what becomes of constants is not followed."""
    return merged(call, None)


@rule("applications.CustomScaleLayer")
def scaled_sum(call: Call) -> Flow:
    """InceptionResNetV2's `x + scale * y`."""
    scale = float(call.op.scale)
    return merged(call, lambda parts: parts[0] + scale * parts[1])


@rule(_K.Concatenate, "ops.Concatenate")
def concatenate(call: Call) -> Flow:
    """Channels side by side, at their offsets."""
    flows = listed(call)
    at = int(call.op.axis) % flows[0].rank
    axes: list[Axis | None] = []
    for number in range(flows[0].rank):
        if number == at:
            axes.append(joined([(f.axes[at], int(f.shape[at] or 0)) for f in flows]))
        else:
            axes.append(alike(call, [f.axes[number] for f in flows]))
    return Flow(call.shapes[0], tuple(axes))


def listed(call: Call) -> list[Flow]:
    """The tensors of a list in the first argument, constant arrays among them included."""
    given = call.args[0] if call.args else next(iter(call.kwargs.values()))
    return [x if isinstance(x, Flow) else untracked(np.shape(x)) for x in given]


def alike(call: Call, axes: Sequence[Axis | None]) -> Axis | None:
    """The axis along which tensors lie beside each other: their channels go together, equal constants stay."""
    for axis in axes[1:]:
        call.tie(axes[0], axis)
    held = [a for a in axes if a is not None]
    if not held:
        return None
    known = [a.const for a in held if a.const is not None]
    if len(known) < len(axes):
        return held[0].with_const(None)
    return held[0].with_const(np.where((np.stack(known) == known[0]).all(0), known[0], np.nan))


@rule(_K.Dot)
def dot(call: Call) -> Flow | list[Flow]:
    """The two axes that are summed over go together, and end here."""
    one, two = call.inputs
    given = call.op.axes
    left, right = (given, given) if isinstance(given, int) else given
    if call.op.normalize:
        return call.barrier(f"{call.key} normalises before it multiplies")
    contract(call, one.axis(left), two.axis(right))
    first = [one.axes[i] for i in range(1, one.rank) if i != left % one.rank]
    second = [two.axes[i] for i in range(1, two.rank) if i != right % two.rank]
    if len(first) + len(second) + 1 != len(call.shapes[0]):
        return call.barrier(f"{call.key} makes a shape that is not followed")
    return Flow(call.shapes[0], (None, *(a and a.with_const(None) for a in (*first, *second))))


def contract(call: Call, one: Axis | None, two: Axis | None) -> None:
    """Two axes that are multiplied and summed: what is 0 on either side leaves no trace."""
    call.tie(one, two)
    if one is not None and two is not None:
        call.sink(multiplied([one, two]), why="{key} multiplies and sums over these channels")


def multiplied(axes: Sequence[Axis]) -> Axis:
    """The channels of factors that lie along each other: what is 0 in one of them is 0 in the product."""
    zero = np.zeros(len(axes[0].labels), bool)
    for axis in axes:
        if axis.const is not None:
            zero |= axis.const == 0
    return axes[0].with_const(np.where(zero, 0.0, np.nan))


def zeros(axis: Axis | None) -> Axis | None:
    """The same channels, of which only those known to be 0 are still known."""
    return None if axis is None else multiplied([axis])


def merged(
    call: Call,
    constant: Callable[[Array], Array] | None,
    *,
    zero_wins: bool = False,
    operands: Sequence[Any] | None = None,
) -> Flow:
    """An elementwise operation on several tensors, aligned at their last axes; axes of size 1 are stretched."""
    operands = _operands(call) if operands is None else operands
    shape = call.shapes[0]
    axes: list[Axis | None] = []
    for number in range(len(shape)):
        back = number - len(shape)
        full: list[Axis | float | None] = []
        stretched = False
        for x in operands:
            if isinstance(x, (int, float)):
                full.append(float(x))
                continue
            dims, held = (x.shape, x.axes) if isinstance(x, Flow) else (np.shape(x), (None,) * np.ndim(x))
            if len(dims) < -back or (dims[back] == 1 and shape[number] != 1):
                stretched = True
                if len(dims) >= -back:
                    call.pin(held[back], f"{call.key} stretches this channel over others")
                continue
            full.append(held[back])
        axes.append(_tied(call, full, constant, stretched=stretched, zero_wins=zero_wins))
    return Flow(shape, tuple(axes))


def _tied(
    call: Call,
    axes: list[Axis | float | None],
    constant: Callable[[Array], Array] | None,
    *,
    stretched: bool,
    zero_wins: bool,
) -> Axis | None:
    held = [a for a in axes if isinstance(a, Axis)]
    if not held:
        return None
    tensors = [a for a in axes if not isinstance(a, float)]
    for a in tensors[1:]:
        call.tie(tensors[0], a)
    if not call.constants or constant is None:
        return held[0].with_const(None)
    n = len(held[0].labels)
    parts = np.stack([np.full(n, a) if isinstance(a, float) else _const(a, n) for a in axes])
    if stretched or len(held) < len(tensors):
        parts = np.concatenate([parts, np.full((1, n), np.nan)])
    known = ~np.isnan(parts).any(0)
    made = np.where(known, constant(np.where(known, parts, 1.0)), np.nan)
    if zero_wins:
        made = np.where((parts == 0).any(0), 0.0, made)
    return held[0].with_const(made)


def _const(axis: Axis | None, n: int) -> Array:
    return np.full(n, np.nan) if axis is None or axis.const is None else axis.const


def _power(parts: Array) -> Array:
    with np.errstate(all="ignore"):  # what is no number is not known
        made: Array = np.power(parts[0], parts[1])
    return np.where(np.isfinite(made), made, np.nan)


def _product(parts: Array) -> Array:
    made: Array = np.prod(parts, axis=0)
    return made


def _operands(call: Call) -> list[Any]:
    """The tensors and numbers that are merged: a list in the first argument, or the arguments themselves."""
    given = [*call.args, *call.kwargs.values()]
    if len(given) == 1 and isinstance(given[0], (list, tuple)):
        given = list(given[0])
    return [x for x in given if isinstance(x, Flow) or np.ndim(x) or np.isscalar(x)]
