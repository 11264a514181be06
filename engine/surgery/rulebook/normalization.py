"""Normalisation. Where it mixes channels (LayerNorm, GroupNorm) the smaller layer works on those that are left."""

from __future__ import annotations

import keras
import numpy as np

from engine.surgery.call import Call, is_fixed
from engine.surgery.flow import Array, Axis, Flow
from engine.surgery.rulebook.linear import numpy
from engine.surgery.rules import rule

_MIXES = "{key} normalises over these channels, so even a silent one counts"


def _single(axis: object) -> int | None:
    if isinstance(axis, (list, tuple)):
        return int(axis[0]) if len(axis) == 1 else None
    return int(axis) if isinstance(axis, int) else None


@rule(keras.layers.BatchNormalization)
def batch(call: Call) -> Flow | list[Flow]:
    """Each channel on its own; a channel whose gamma is 0 sends beta, whatever comes in."""
    layer, x = call.op, call.inputs[0]
    at = _single(layer.axis)
    if at is None:
        return call.barrier(f"{call.key} normalises several axes at once")
    axis = x.axis(at)
    for variable in (layer.gamma, layer.beta):
        call.follows(variable, 0, axis)
    for variable in (layer.moving_mean, layer.moving_variance):
        call.follows(variable, 0, axis, role="statistic")
    if axis is None:
        return Flow(call.shapes[0], tuple(a and a.with_const(None) for a in x.axes))
    made = _scaled(call, call.evaluate(x, at))
    return Flow(call.shapes[0], tuple(a and a.with_const(None) for a in x.axes)).put(at, made, dim=x.shape[at])


@rule(keras.layers.LayerNormalization, keras.layers.RMSNormalization)
def layer_norm(call: Call) -> Flow | list[Flow]:
    """Mean and variance over the channels that are kept."""
    layer, x = call.op, call.inputs[0]
    at = _single(layer.axis)
    if at is None:
        return call.barrier(f"{call.key} normalises several axes at once")
    axis = x.axis(at)
    for name in ("gamma", "beta", "scale"):
        variable = getattr(layer, name, None)
        if hasattr(variable, "shape"):
            call.follows(variable, 0, axis)
    out = Flow(call.shapes[0], tuple(a and a.with_const(None) for a in x.axes))
    if axis is None:
        return out
    call.sink(axis.with_const(None), why=_MIXES, norm=True)
    return out.put(at, _scaled(call, axis.with_const(None)), dim=x.shape[at])


@rule(keras.layers.GroupNormalization)
def group_norm(call: Call) -> Flow | list[Flow]:
    """Whole groups go, or equal offsets in each; one group a channel (instance norm) ties nothing."""
    layer, x = call.op, call.inputs[0]
    at = _single(layer.axis)
    if at is None:
        return call.barrier(f"{call.key} normalises several axes at once")
    axis = x.axis(at)
    call.pin_others(x, [at], f"{call.key} normalises over this axis")
    n = int(x.shape[at] or 0)
    for variable in (layer.gamma, layer.beta):
        call.follows(variable, 0, axis)
    if axis is None:
        return call.out({})
    groups = n if layer.groups == -1 else int(layer.groups)
    labels = axis.labels.reshape(groups, n // groups)
    if call.whole_groups(coarse=n // groups == 1) and not is_fixed(axis):
        call.tie(np.repeat(labels[:, :1], labels.shape[1] - 1, 1).ravel(), labels[:, 1:].ravel())
        call.resize(labels[:, 0], "groups")
    else:
        call.tie(np.tile(labels[0], groups - 1), labels[1:].ravel())
    call.sink(axis.with_const(None), why=_MIXES, norm=True)
    return call.out({at: _scaled(call, axis.with_const(None))})


@rule(keras.layers.UnitNormalization)
def unit_norm(call: Call) -> Flow:
    """Divides by a length, to which a channel that is 0 adds nothing."""
    x = call.inputs[0]
    number = _single(call.op.axis)
    if number is None:
        return call.barrier(f"{call.key} normalises several axes at once")[0]
    axis = x.axis(number)
    if axis is not None:
        call.sink(axis, why=_MIXES)
    return Flow(call.shapes[0], tuple(a and a.with_const(_zeros(a)) for a in x.axes))


@rule(keras.layers.Normalization)
def normalization(call: Call) -> Flow | list[Flow]:
    """A fixed mean and variance a channel, learned by `adapt` or given in the config."""
    layer, x = call.op, call.inputs[0]
    if not x.labelled():
        return call.out({})
    at = _single(layer.axis)
    if at is None:
        return call.barrier(f"{call.key} normalises several axes at once")
    call.pin_others(x, [at], f"{call.key} has one mean and variance for all of it")
    axis = x.axis(at)
    if axis is None:
        return call.out({})
    if layer.input_mean is None:
        call.follows(layer.adapt_mean, 0, axis, role="statistic")
        call.follows(layer.adapt_variance, 0, axis, role="statistic")
    elif np.size(layer.input_mean) == len(axis.labels) or np.size(layer.input_variance) == len(axis.labels):
        return call.barrier(f"{call.key} has its mean and variance in its config")
    return Flow(call.shapes[0], x.axes).put(at, call.evaluate(x, at), dim=x.shape[at])


def _scaled(call: Call, axis: Axis | None) -> Axis | None:
    """The axis where a scale of 0 leaves nothing but the offset."""
    scale = getattr(call.op, "gamma", None)
    scale = getattr(call.op, "scale", None) if scale is None else scale
    if not call.constants or axis is None or not hasattr(scale, "shape"):
        return axis
    beta = getattr(call.op, "beta", None)
    offset = np.zeros(len(axis.labels)) if beta is None else numpy(beta)
    const = np.full(len(offset), np.nan) if axis.const is None else axis.const
    return axis.with_const(np.where(numpy(scale) == 0, offset, const))


def _zeros(axis: Axis) -> Array | None:
    return None if axis.const is None else np.where(axis.const == 0, 0.0, np.nan)
