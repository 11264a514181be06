"""Layers that treat every number on its own: activations, dropout, noise, rescaling."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from engine.surgery.call import Call
from engine.surgery.flow import Array, Flow
from engine.surgery.rulebook.activations import elementwise
from engine.surgery.rulebook.linear import numpy
from engine.surgery.rules import rule

if TYPE_CHECKING:
    from engine.surgery.trace import Edit

_K = keras.layers


def same(call: Call, x: Flow) -> Flow:
    """Every axis as it was, with the constants that the operation makes of the old ones."""
    axes = tuple(None if a is None else call.evaluate(x, i) for i, a in enumerate(x.axes))
    return Flow(call.shapes[0], axes)


@rule(_K.ReLU, _K.LeakyReLU, _K.ELU, _K.GaussianDropout, _K.GaussianNoise, _K.AlphaDropout, _K.Identity)
@rule(_K.ActivityRegularization, _K.SpatialDropout1D, _K.SpatialDropout2D, _K.SpatialDropout3D)
@rule(
    "ops.Relu",
    "ops.Relu6",
    "ops.Sigmoid",
    "ops.Silu",
    "ops.Softplus",
    "ops.Softsign",
    "ops.Gelu",
    "ops.Tanh",
    "ops.Exp",
)
@rule(
    "ops.Expm1",
    "ops.Log",
    "ops.Log1p",
    "ops.Sqrt",
    "ops.Rsqrt",
    "ops.Abs",
    "ops.Absolute",
    "ops.Negative",
    "ops.Square",
)
@rule("ops.HardSigmoid", "ops.HardSilu", "ops.HardTanh", "ops.Elu", "ops.Selu", "ops.Celu", "ops.LeakyRelu", "ops.Mish")
@rule(
    "ops.LogSigmoid",
    "ops.SparsePlus",
    "ops.SoftShrink",
    "ops.HardShrink",
    "ops.TanhShrink",
    "ops.Threshold",
    "ops.Clip",
)
@rule("ops.Squareplus", "ops.SquarePlus", "ops.Sin", "ops.Cos", "ops.Erf", "ops.Reciprocal", "ops.Sign", "ops.Cast")
@rule(
    "ops.StopGradient",
    "ops.Copy",
    "ops.NanToNum",
    "ops.Round",
    "ops.Floor",
    "ops.Ceil",
    "ops.OnesLike",
    "ops.ZerosLike",
    "ops.LogicalNot",
    "ops.Isnan",
    "ops.Isinf",
    "ops.Isfinite",
)
def pointwise(call: Call) -> Flow | list[Flow]:
    """One number in, one number out; bounds that are arrays (`ops.clip`) would have to lose channels as well."""
    own = () if isinstance(call.op, _K.Layer) else vars(call.op).items()
    if any(np.ndim(value) for name, value in own if not name.startswith("_")):
        return call.barrier(f"{call.key} holds an array of its own")
    return same(call, call.inputs[0])


@rule(_K.Activation)
def activation(call: Call) -> Flow | list[Flow]:
    """Elementwise, unless the function looks at other channels too (softmax)."""
    x = call.inputs[0]
    if not elementwise(call.op.activation, x.rank):
        known = getattr(call.op.activation, "__module__", "").startswith("keras.")
        return softmax_like(call, [-1] if known else list(range(x.rank)))
    return same(call, x)


@rule(_K.Lambda)
def of_the_user(call: Call) -> Flow | list[Flow]:
    """A function of the user's own, when trying it shows that it treats every number on its own."""
    mask = call.kwargs.get("mask")  # a Lambda only looks at it when its function takes one
    if isinstance(mask, Flow) and not call.op._fn_expects_mask_arg:
        call.trace.pin_flow(mask, call.key, "it masks steps")
        mask = 1
    else:
        mask = 0
    if len(call.inputs) != 1 + mask or call.op.arguments or not elementwise(call.op.function, call.inputs[0].rank):
        return call.barrier(f"{call.key} is a Lambda that is no function of single numbers")
    return same(call, call.inputs[0])


@rule(_K.Softmax, "ops.Softmax", "ops.LogSoftmax", "ops.Sparsemax")
def softmax(call: Call) -> Flow | list[Flow]:
    """The axes that it sums over keep their size; the others pass."""
    given = getattr(call.op, "axis", -1)
    return softmax_like(call, list(given) if isinstance(given, (list, tuple)) else [-1 if given is None else given])


def softmax_like(call: Call, numbers: list[int]) -> Flow | list[Flow]:
    """The axes with these numbers must stay whole."""
    x = call.inputs[0]
    for number in numbers:
        call.pin(x.axis(number), f"{call.key} mixes these channels")
    axes = tuple(a and a.with_const(None) for a in x.axes)
    return Flow(call.shapes[0], axes)


@rule(_K.Dropout)
def dropout(call: Call) -> Flow | list[Flow]:
    """Passes everything on."""
    if getattr(call.op, "noise_shape", None) and any(n not in (None, 1) for n in call.op.noise_shape[1:]):
        return call.barrier(f"{call.key} has a noise_shape of fixed size")
    return same(call, call.inputs[0])


@rule(_K.Rescaling)
def rescaling(call: Call) -> Flow | list[Flow]:
    """One scale and offset for all; given one a channel, the config's list loses what the channels lose."""
    layer, x = call.op, call.inputs[0]
    axis = x.axis(-1)
    for name in ("scale", "offset"):
        value = np.asarray(getattr(layer, name))
        if value.size == 1:
            continue
        if value.ndim != 1 or axis is None or value.size != len(axis.labels):
            if x.labelled():
                return call.barrier(f"{call.key} has a {name} of its own shape")
            continue
        call.edit(name, axis.labels, _listed(name, axis.labels))
    return same(call, x)


def _listed(name: str, labels: Array) -> Edit:
    def edit(config: dict[str, Any], kept: Callable[[Array], Array]) -> None:
        config[name] = [float(v) for v in np.asarray(config[name])[kept(labels)]]

    return edit


@rule(_K.PReLU)
def prelu(call: Call) -> Flow:
    """Its slopes are weights, of the shape of one sample; shared axes have one slope."""
    layer, x = call.op, call.inputs[0]
    axes = list(x.axes)
    slopes = numpy(layer.alpha)
    for number in range(1, x.rank):
        shared = int(layer.alpha.shape[number - 1]) == 1 and x.shape[number] != 1
        if not shared:
            call.follows(layer.alpha, number - 1, x.axes[number])
        axis = x.axes[number]
        if axis is None:
            continue
        const = None
        if call.constants and axis.const is not None:
            # A negative constant stays one only where its slope is the same everywhere.
            rest = tuple(a for a in range(slopes.ndim) if a != number - 1)
            low, high = slopes.min(rest), slopes.max(rest)
            below = np.where(low == high, axis.const * low, np.nan)
            const = np.where(axis.const >= 0, axis.const, below)
        axes[number] = axis.with_const(const)
    return Flow(call.shapes[0], tuple(axes))
