"""Convolutions: plain, grouped, transposed, depthwise and separable, in one to three dimensions."""

from __future__ import annotations

import keras
import numpy as np

from engine.surgery.call import Call, is_fixed
from engine.surgery.flow import FIXED, Array, Axis, Flow
from engine.surgery.rulebook.linear import activated, numpy, product
from engine.surgery.rules import rule

_SPACE = "convolutions slide over this axis"


def channel(call: Call, flow: Flow | None = None) -> int:
    """The number of the channel axis of an image layer's input."""
    rank = (flow or call.inputs[0]).rank
    return 1 if getattr(call.op, "data_format", None) == "channels_first" else rank - 1


@rule(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
def convolution(call: Call) -> Flow:
    """Units are the filters; with groups, whole groups go or equal offsets in each."""
    layer, x = call.op, call.inputs[0]
    at = channel(call)
    call.pin_others(x, [at], _SPACE)
    given = x.axis(at)
    kernel = layer.kernel
    made = call.units(kernel, -1)
    plain = exact(layer)
    if layer.groups == 1:
        fold = (lambda const: const @ total(kernel)) if plain else None
        call.reads(kernel, -2, given, fold=fold)
    else:
        _grouped(call, given, made)
    call.follows(layer.bias, 0, made)
    call.resize(made, "filters")
    call.space(made)
    const = None
    if call.constants:
        bias = None if layer.bias is None else numpy(layer.bias)
        matrix = total(kernel) if layer.groups == 1 else np.abs(total(kernel))
        reach = np.abs(numpy(kernel)).sum(tuple(range(len(kernel.shape) - 2)))
        const = product(matrix, bias, given if layer.groups == 1 else None, zeros_only=not plain)
        loose = _loose(given if layer.groups == 1 else None, reach, zeros_only=not plain)
        const = np.where(loose, np.nan, const)
    return activated(call, call.out({at: Axis(made, const)}), at)


@rule(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
def transposed(call: Call) -> Flow:
    """The kernel is `(..., out, in)`. A constant does not come out as one: the borders and strides show."""
    layer, x = call.op, call.inputs[0]
    at = channel(call)
    call.pin_others(x, [at], _SPACE)
    made = call.units(layer.kernel, -2)
    call.reads(layer.kernel, -1, x.axis(at))
    call.follows(layer.bias, 0, made)
    call.resize(made, "filters")
    call.space(made)
    const = None
    if call.constants:
        bias = None if layer.bias is None else numpy(layer.bias)
        reach = np.abs(numpy(layer.kernel)).sum(tuple(range(len(layer.kernel.shape) - 2))).T
        const = product(reach, bias, x.axis(at), zeros_only=True)
    return activated(call, call.out({at: Axis(made, const)}), at)


@rule(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
def depthwise(call: Call) -> Flow:
    """Channel `in * m + j` follows input channel `in`."""
    layer, x = call.op, call.inputs[0]
    at = channel(call)
    call.pin_others(x, [at], _SPACE)
    given = x.axis(at)
    call.follows(layer.kernel, -2, given, role="column")
    many = int(layer.kernel.shape[-1])
    labels = _labels(given, int(layer.kernel.shape[-2]))
    made = np.repeat(labels, many)
    call.follows(layer.bias, 0, made)
    call.space(made)
    if is_fixed(given) or given is None:
        return call.out({})
    const = None
    if call.constants:
        weights = total(layer.kernel).reshape(-1)
        bias = np.zeros(len(made)) if layer.bias is None else numpy(layer.bias)
        source = np.full(len(made), np.nan) if given.const is None else np.repeat(given.const, many)
        if not exact(layer):
            source = np.where(source == 0, 0.0, np.nan)
        empty = np.abs(numpy(layer.kernel)).sum(tuple(range(len(layer.kernel.shape) - 2))).reshape(-1) == 0
        const = np.where(empty, bias, source * weights + bias)
    return activated(call, call.out({at: Axis(made, const)}), at)


@rule(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
def separable(call: Call) -> Flow:
    """A depthwise convolution that the input's channels pass through, and a pointwise one that makes the units."""
    layer, x = call.op, call.inputs[0]
    at = channel(call)
    call.pin_others(x, [at], _SPACE)
    given = x.axis(at)
    deep, point = layer.depthwise_kernel, layer.pointwise_kernel
    call.follows(deep, -2, given, role="row")
    between = np.repeat(_labels(given, int(deep.shape[-2])), int(deep.shape[-1]))
    made = call.units(point, -1)
    call.follows(point, -2, between, role="row")
    if given is not None:
        call.sink(given)
    call.follows(layer.bias, 0, made)
    call.resize(made, "filters")
    call.space(made)
    const = None
    if call.constants:
        bias = None if layer.bias is None else numpy(layer.bias)
        used = np.abs(numpy(deep)).sum(tuple(range(len(deep.shape) - 2))).reshape(-1, 1) != 0
        reach = np.abs(total(point)) * used
        grown = given and given.with_const(None if given.const is None else np.repeat(given.const, int(deep.shape[-1])))
        const = product(reach, bias, grown, zeros_only=True)
    return activated(call, call.out({at: Axis(made, const)}), at)


def total(kernel: object) -> Array:
    """The kernel summed over its positions: what a constant image is multiplied with."""
    value = numpy(kernel)
    summed: Array = value.sum(tuple(range(value.ndim - 2)))
    return summed


def exact(layer: object) -> bool:
    """True when a constant image comes out as a constant: nothing is padded."""
    return getattr(layer, "padding", "valid") == "valid" or all(n == 1 for n in getattr(layer, "kernel_size", (2,)))


def _loose(given: Axis | None, reach: Array, *, zeros_only: bool) -> Array:
    # A column can sum to 0 over the positions without being 0: it only counts as empty when every weight is.
    known = np.zeros(len(reach), bool) if given is None or given.const is None else ~np.isnan(given.const)
    if zeros_only and given is not None and given.const is not None:
        known &= given.const == 0
    loose: Array = (reach[~known] != 0).any(0)
    return loose


def _labels(given: Axis | None, n: int) -> Array:
    return np.full(n, FIXED, np.int32) if given is None else given.labels


def _grouped(call: Call, given: Axis | None, made: Array) -> None:
    layer = call.op
    groups, inside = int(layer.groups), int(layer.kernel.shape[-2])
    outside = len(made) // groups
    whole = call.whole_groups(coarse=inside == 1 or outside == 1) and not is_fixed(given)
    labels = _labels(given, groups * inside).reshape(groups, inside)
    rows = made.reshape(groups, outside)
    if given is not None:
        call.sink(given)
    if whole:
        call.tie(np.repeat(labels[:, :1], inside - 1, 1).ravel(), labels[:, 1:].ravel())
        call.tie(np.repeat(labels[:, :1], outside, 1).ravel(), rows.ravel())
        call.resize(labels[:, 0], "groups")
        return
    call.tie(np.tile(labels[0], groups - 1), labels[1:].ravel())
    call.tie(np.tile(rows[0], groups - 1), rows[1:].ravel())
    call.follows(layer.kernel, -2, labels[0], role="row")
