"""Layers that move channels: pooling, padding, cropping, upsampling, Flatten, Reshape, Permute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from engine.surgery.call import Call
from engine.surgery.flow import Array, Axis, Flow, blocks, spread
from engine.surgery.rulebook.convolution import channel
from engine.surgery.rulebook.elementwise import same
from engine.surgery.rules import rule

if TYPE_CHECKING:
    from engine.surgery.trace import Edit

_K = keras.layers
# Stand for dynamic sizes while shapes are compared: primes that no real product of sizes meets, times what they may be
# divided by (a batch of windows becomes a batch of images again).
_DYNAMIC = tuple(prime * 2**12 * 3**4 * 5**2 * 7**2 for prime in (1_000_003, 1_000_033, 1_000_037, 1_000_039))


def image(call: Call, *, constant: str) -> Flow:
    """An operation over positions: only channels can go. `constant`: what arrives of one ("all", "zero")."""
    x = call.inputs[0]
    at = channel(call)
    call.pin_others(x, [at], f"{call.key} works along this axis")
    axis = x.axis(at)
    if axis is not None and axis.const is not None and constant == "zero":
        axis = axis.with_const(np.where(axis.const == 0, 0.0, np.nan))
    out = len(call.shapes[0])
    return call.out({at if out == x.rank else out - 1: axis})


@rule(_K.MaxPooling1D, _K.MaxPooling2D, _K.MaxPooling3D, _K.AveragePooling1D, _K.AveragePooling2D, _K.AveragePooling3D)
@rule(_K.GlobalMaxPooling1D, _K.GlobalMaxPooling2D, _K.GlobalMaxPooling3D, _K.GlobalAveragePooling1D)
@rule(_K.GlobalAveragePooling2D, _K.GlobalAveragePooling3D, _K.UpSampling1D, _K.UpSampling2D, _K.UpSampling3D)
@rule(_K.Cropping1D, _K.Cropping2D, _K.Cropping3D, _K.CenterCrop)
def over_positions(call: Call) -> Flow:
    """A constant image stays one (`same` padding of an average does not count the border)."""
    return image(call, constant="all")


@rule(*(getattr(_K, f"Adaptive{kind}Pooling{n}D") for kind in ("Average", "Max") for n in (1, 2, 3)
        if hasattr(_K, f"Adaptive{kind}Pooling{n}D")))  # fmt: skip
def adaptive(call: Call) -> Flow:
    """As the other pooling layers (newer than the oldest Keras that will do)."""
    return image(call, constant="all")


@rule(_K.Resizing, "ops.Resize")
def resized(call: Call) -> Flow:
    """Positions are mixed and cropped, or padded with a value."""
    padded = getattr(call.op, "pad_to_aspect_ratio", False) and getattr(call.op, "fill_value", 0.0) != 0
    made = image(call, constant="zero")
    return Flow(made.shape, tuple(a and a.with_const(None) for a in made.axes)) if padded else made


@rule(_K.ZeroPadding1D, _K.ZeroPadding2D, _K.ZeroPadding3D)
def zero_padding(call: Call) -> Flow:
    """Only zeros stay constant."""
    return image(call, constant="zero")


@rule(_K.Masking)
def masking(call: Call) -> Flow:
    """Its mask depends on all channels of a step together."""
    call.pin(call.inputs[0].axis(-1), f"{call.key} looks at all channels of a step")
    return same(call, call.inputs[0])


@rule(_K.RepeatVector)
def repeat_vector(call: Call) -> Flow:
    """A vector becomes a sequence of itself."""
    return call.out({2: call.inputs[0].axis(1)})


@rule(_K.Permute)
def permute(call: Call) -> Flow:
    """Axes trade places."""
    return transposed(call.inputs[0], [0, *call.op.dims])


@rule(_K.Flatten)
def flatten(call: Call) -> Flow:
    """Every channel becomes a block of positions."""
    x = call.inputs[0]
    if channel(call) == 1 and x.rank > 2:
        x = transposed(x, [0, *range(2, x.rank), 1])
    return reshaped(call, x)


@rule(_K.Reshape)
def reshape(call: Call) -> Flow:
    """Sizes in the config follow the channels."""
    return reshaped(call, call.inputs[0], config="target_shape", offset=1)


def transposed(x: Flow, order: Sequence[int]) -> Flow:
    """The tensor with its axes in another order."""
    order = [o % x.rank for o in order]
    return Flow(tuple(x.shape[o] for o in order), tuple(x.axes[o] for o in order))


def reshaped(call: Call, x: Flow, *, config: str = "", offset: int = 0) -> Flow:
    """The tensor in its new shape: each labelled axis is followed into the new axes that its index runs along.

    Where it runs along several (a channel axis split into heads and width), channels that share the place on the
    largest of them go together.

    Args:
        call: the call, whose first output has the new shape.
        x: the tensor.
        config: the config entry that holds the new shape.
        offset: how many leading axes that entry leaves out.
    """
    source, target = _sizes(x.shape, call.shapes[0])
    if not target:
        return call.barrier(f"{call.key} reshapes dynamic sizes in a way that cannot be followed")[0]
    axes: list[Axis | None] = [None] * len(target)
    for old, new in blocks(source, target):
        labelled = [a for a in old if x.axes[a] is not None]
        for other in labelled[:-1]:
            call.pin(x.axes[other], f"{call.key} mixes this axis with another that has channels")
        if not labelled:
            continue
        axis = x.axes[labelled[-1]]
        dims, into = [source[a] for a in old], [target[a] for a in new]
        if axis is None or any(n > 10**8 for n in dims):
            call.pin(axis, f"{call.key} mixes channels with a dynamic axis")
            continue
        index, varies = spread(axis, labelled[-1] - old[0], dims, into)
        place = max(varies, key=lambda a: into[a]) if varies else len(into) - 1
        rows = np.moveaxis(index, place, 0).reshape(into[place], -1)
        made = axis.take(rows[:, 0])
        if len(varies) > 1:
            labels = axis.labels[rows]
            call.tie(np.repeat(labels[:, :1], labels.shape[1] - 1, 1).ravel(), labels[:, 1:].ravel())
            made = made.with_const(None if axis.const is None else _agreed(axis.const[rows]))
        axes[new[place]] = made
        call.keep_some(made)
        if config and new[place] >= offset:
            call.edit((config, new[place]), made.labels, _sized(config, new[place] - offset, made.labels))
    return Flow(call.shapes[0], tuple(axes))


def _agreed(const: Array) -> Array:
    """The constant of each row whose entries all have the same one."""
    return np.where((const == const[:, :1]).all(1), const[:, 0], np.nan)


def _sizes(old: Sequence[int | None], new: Sequence[int | None]) -> tuple[list[int], list[int]]:
    """Both shapes with numbers for what is dynamic, or an empty second one where they cannot be matched."""
    if sum(n is None for n in old) > len(_DYNAMIC):
        return [], []
    names = iter(_DYNAMIC)
    source = [next(names) if n is None else int(n) for n in old]
    target = [1 if n is None else int(n) for n in new]
    holes = [i for i, n in enumerate(new) if n is None]
    total, rest = math.prod(source), math.prod(target)
    if len(holes) == 1 and rest and total % rest == 0:
        target[holes[0]] = total // rest
    elif len(holes) > 1 and len(holes) == sum(n is None for n in old):
        for hole, stand_in in zip(holes, _DYNAMIC, strict=False):
            target[hole] = stand_in
    return (source, target) if math.prod(target) == total else ([], [])


def _sized(name: str, position: int, labels: Array) -> Edit:
    def edit(config: dict[str, Any], kept: Callable[[Array], Array]) -> None:
        shape = list(config[name])
        if shape[position] != -1:
            shape[position] = int(kept(labels).sum())
        config[name] = tuple(shape)

    return edit
