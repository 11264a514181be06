"""`keras.ops` calls in the graph, and the layers of `keras.applications` that are no public ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.surgery.call import Call
from engine.surgery.flow import Array, Axis, Flow, untracked
from engine.surgery.rulebook.elementwise import same
from engine.surgery.rulebook.merging import alike, contract, listed, multiplied, zeros
from engine.surgery.rulebook.shaping import image, reshaped, transposed
from engine.surgery.rules import rule


def _plain(axis: Axis | None) -> Axis | None:
    return None if axis is None else axis.with_const(None)


@rule("applications.LayerScale")
def layer_scale(call: Call) -> Flow:
    """ConvNeXt's gamma, one a channel."""
    x = call.inputs[0]
    axis = x.axis(-1)
    call.follows(call.op.gamma, 0, axis)
    call.resize(axis, "projection_dim")
    return same(call, x)


@rule("applications.StochasticDepth")
def stochastic_depth(call: Call) -> Flow:
    """Drops whole samples, in training only."""
    return same(call, call.inputs[0])


@rule("ops.Reshape")
def reshape(call: Call) -> Flow:
    """As the layer; its shape has the batch in it."""
    return reshaped(call, call.inputs[0], config="newshape")


@rule("ops.Ravel")
def ravel(call: Call) -> Flow:
    """One long axis, the batch in it."""
    return reshaped(call, call.inputs[0])


@rule("ops.Transpose")
def transpose(call: Call) -> Flow:
    """Axes trade places."""
    x = call.inputs[0]
    return transposed(x, call.op.axes or range(x.rank - 1, -1, -1))


@rule("ops.Swapaxes", "ops.SwapAxes")
def swap_axes(call: Call) -> Flow:
    """Two axes trade places."""
    x = call.inputs[0]
    order = list(range(x.rank))
    one, two = call.op.axis1 % x.rank, call.op.axis2 % x.rank
    order[one], order[two] = two, one
    return transposed(x, order)


@rule("ops.Moveaxis")
def move_axis(call: Call) -> Flow:
    """Axes go elsewhere, the others close up."""
    x = call.inputs[0]
    source = [s % x.rank for s in call.op.source]
    target = [t % x.rank for t in call.op.destination]
    rest = iter(a for a in range(x.rank) if a not in source)
    where = dict(zip(target, source, strict=True))
    return transposed(x, [where[i] if i in where else next(rest) for i in range(x.rank)])


@rule("ops.ExpandDims")
def expand_dims(call: Call) -> Flow:
    """New axes of size 1."""
    axes = list(call.inputs[0].axes)
    given = call.op.axis if isinstance(call.op.axis, (list, tuple)) else [call.op.axis]
    for at in sorted(a % len(call.shapes[0]) for a in given):
        axes.insert(at, None)
    return Flow(call.shapes[0], tuple(axes))


@rule("ops.Squeeze")
def squeeze(call: Call) -> Flow:
    """Axes of size 1 leave."""
    x, given = call.inputs[0], call.op.axis
    if given is None:
        given = [i for i, n in enumerate(x.shape) if n == 1]
    gone = {a % x.rank for a in (given if isinstance(given, (list, tuple)) else [given])}
    for at in gone:
        call.pin(x.axes[at], f"{call.key} drops this axis")
    return Flow(call.shapes[0], tuple(a for i, a in enumerate(x.axes) if i not in gone))


@rule("ops.Mean", "ops.Sum", "ops.Max", "ops.Min", "ops.Amax", "ops.Amin", "ops.Std", "ops.Var", "ops.Prod")
@rule("ops.Any", "ops.All", "ops.CountNonzero", "ops.Logsumexp", "ops.Argmax", "ops.Argmin", "ops.Median")
def reduction(call: Call) -> Flow:
    """Axes that are summed up end here; of a sum, channels may go (they are 0)."""
    x, op = call.inputs[0], call.op
    given = getattr(op, "axis", None)
    numbers = range(x.rank) if given is None else given if isinstance(given, (list, tuple)) else [given]
    over = {a % x.rank for a in numbers}
    for at in over:
        axis = x.axes[at]
        if type(op).__name__ == "Sum" and axis is not None:
            call.sink(axis)
        else:
            call.pin(axis, f"{call.key} mixes these channels")
    kind = type(op).__name__
    exact = kind in {"Mean", "Max", "Min", "Amax", "Amin"} and getattr(op, "initial", None) is None
    kept = zeros if kind == "Sum" else (lambda a: a) if exact else _plain
    axes = [None if i in over else kept(a) for i, a in enumerate(x.axes)]
    if not getattr(op, "keepdims", False):
        axes = [a for i, a in enumerate(axes) if i not in over]
    return Flow(call.shapes[0], tuple(axes))


@rule("ops.MaxPool", "ops.AveragePool", "ops.AveragePooling")
def pooling(call: Call) -> Flow:
    """As the layers."""
    return image(call, constant="all")


@rule("ops.Pad")
def pad(call: Call) -> Flow:
    """Only positions are padded."""
    x = call.inputs[0]
    width = list(call.op.pad_width)
    for at in x.labelled():
        if tuple(np.atleast_1d(width[at if len(width) == x.rank else 0])) != (0, 0):
            call.pin(x.axes[at], f"{call.key} pads this axis")
    kept = _plain if getattr(call.op, "constant_values", None) else zeros
    return Flow(call.shapes[0], tuple(kept(a) for a in x.axes))


@rule("ops.Stack")
def stack(call: Call) -> Flow:
    """A new axis over tensors whose channels go together."""
    flows = listed(call)
    axes = [alike(call, [x.axes[number] for x in flows]) for number in range(flows[0].rank)]
    axes.insert(call.op.axis % len(call.shapes[0]), None)
    return Flow(call.shapes[0], tuple(axes))


@rule("ops.Unstack")
def unstack(call: Call) -> list[Flow]:
    """Single entries of an axis, each a tensor; the other axes pass."""
    x = call.inputs[0]
    at = call.op.axis % x.rank
    call.pin(x.axes[at], f"{call.key} picks single entries of it")
    return [Flow(shape, (*x.axes[:at], *x.axes[at + 1 :])) for shape in call.shapes]


@rule("ops.Flip", "ops.Roll", "ops.Cumsum", "ops.Cumprod", "ops.Sort", "ops.Argsort")
def along(call: Call) -> Flow:
    """What works along axes that keep all their entries; the other axes pass."""
    x, given = call.inputs[0], call.op.axis
    numbers = range(x.rank) if given is None else given if isinstance(given, (list, tuple)) else [given]
    for number in numbers:
        call.pin(x.axes[number], f"{call.key} works along this axis")
    if len(call.shapes[0]) != x.rank:  # flattened first
        return call.out({})
    kept = {"Flip": lambda a: a, "Roll": lambda a: a, "Sort": lambda a: a, "Cumsum": zeros, "Cumprod": zeros}
    return Flow(call.shapes[0], tuple(kept.get(type(call.op).__name__, _plain)(a) for a in x.axes))


@rule("ops.Repeat")
def repeat(call: Call) -> Flow | list[Flow]:
    """Every index several times in a row."""
    x, op = call.inputs[0], call.op
    if op.axis is None or not isinstance(op.repeats, int):
        return call.barrier(f"{call.key} repeats in a way that is not followed")
    at = op.axis % x.rank
    axis = x.axes[at]
    made = None if axis is None else axis.take(np.repeat(np.arange(len(axis.labels)), op.repeats))
    return Flow(call.shapes[0], x.axes).put(at, made, dim=call.shapes[0][at])


@rule("ops.Tile")
def tile(call: Call) -> Flow | list[Flow]:
    """The tensor several times over."""
    x, given = call.inputs[0], call.op.repeats
    many = [given] if isinstance(given, int) else list(given)
    many = [1] * (x.rank - len(many)) + many
    if len(many) != x.rank:
        return call.barrier(f"{call.key} makes new axes")
    axes = [
        None if a is None else a.take(np.tile(np.arange(len(a.labels)), n)) for a, n in zip(x.axes, many, strict=True)
    ]
    return Flow(call.shapes[0], tuple(axes))


@rule("ops.Split")
def split(call: Call) -> list[Flow]:
    """Parts of the axis, each with its own channels; the places of the cuts follow."""
    x = call.inputs[0]
    at = call.op.axis % x.rank
    axis = x.axes[at]
    flows: list[Flow] = []
    start = 0
    ends: list[Array] = []
    for shape in call.shapes:
        stop = start + int(shape[at] or 0)
        part = None if axis is None else axis.take(np.arange(start, stop))
        call.keep_some(part)
        flows.append(Flow(shape, tuple(part if i == at else a for i, a in enumerate(x.axes))))
        start = stop
        if axis is not None:
            ends.append(axis.labels[:stop])
    if axis is not None:
        call.edit("indices_or_sections", axis.labels, _cuts(ends))
    return flows


def _cuts(ends: list[Array]) -> Callable[[dict[str, Any], Callable[[Array], Array]], None]:
    def edit(config: dict[str, Any], kept: Callable[[Array], Array]) -> None:
        if not kept(ends[-1]).all():
            config["indices_or_sections"] = [int(kept(labels).sum()) for labels in ends[:-1]]

    return edit


@rule("ops.GetItem")
def get_item(call: Call) -> Flow | list[Flow]:
    """Slices; those of a channel axis are moved with the channels that stay."""
    x = call.inputs[0]
    key = call.args[1] if len(call.args) > 1 else call.kwargs.get("key")
    key = list(key) if isinstance(key, tuple) else [key]
    if any(not (k is None or k is Ellipsis or isinstance(k, (int, slice))) for k in key):
        return call.barrier(f"{call.key} picks entries in a way that is not followed")
    if Ellipsis in key:
        at = key.index(Ellipsis)
        used = sum(k is not None for k in key) - 1
        key[at : at + 1] = [slice(None)] * (x.rank - used)
    key += [slice(None)] * (x.rank - sum(k is not None for k in key))
    axes: list[Axis | None] = []
    moved: dict[int, tuple[slice, Array]] = {}
    number = 0
    for place, k in enumerate(key):
        if k is None:
            axes.append(None)
            continue
        axis = x.axes[number]
        number += 1
        if axis is None or k == slice(None):
            if not isinstance(k, int):
                axes.append(axis)
        elif isinstance(k, int) or k.step not in (None, 1):
            call.pin(axis, f"{call.key} picks single entries of it")
            if not isinstance(k, int):
                axes.append(axis.take(np.arange(len(axis.labels))[k]))
        else:
            axes.append(axis.take(np.arange(len(axis.labels))[k]))
            call.keep_some(axes[-1])
            moved[place] = k, axis.labels
    if moved:
        call.arguments(_moved(key, moved))
    return Flow(call.shapes[0], tuple(axes))


def _moved(key: list[Any], moved: dict[int, tuple[slice, Array]]) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    def edit(args: Any, kwargs: Any, kept: Callable[[Array], Array]) -> tuple[Any, Any]:
        new = list(key)
        for place, (cut, labels) in moved.items():
            start, stop, _ = cut.indices(len(labels))
            stays = kept(labels)
            first = int(stays[:start].sum())
            new[place] = slice(first, first + int(stays[start:stop].sum()))
        return (args[0], tuple(new)), {}

    return edit


def _tensor(given: Any) -> Flow:
    """A tensor of the graph, or an array that the call holds, of which nothing can go."""
    return given if isinstance(given, Flow) else untracked(np.shape(given))


@rule("ops.Matmul")
def matmul(call: Call) -> Flow | list[Flow]:
    """The last axis of one and the last but one of the other are summed over; the axes before them go together."""
    one, two = (_tensor(x) for x in (*call.args, *call.kwargs.values()))
    if one.rank < 2 or two.rank < 2:
        return call.barrier(f"{call.key} multiplies vectors")
    contract(call, one.axis(-1), two.axis(-2))
    rank = len(call.shapes[0])
    axes: list[Axis | None] = []
    for back in range(-rank, -2):
        pair = [x.axes[back] if x.rank >= -back else None for x in (one, two)]
        if one.rank >= -back and two.rank >= -back:
            call.tie(pair[0], pair[1])
        axes.append(_plain(pair[0] or pair[1]))
    return Flow(call.shapes[0], (*axes, zeros(one.axis(-2)), zeros(two.axis(-1))))


@rule("ops.Einsum")
def einsum(call: Call) -> Flow | list[Flow]:
    """Equal letters go together; letters that are not written are summed over."""
    subscripts = call.op.subscripts.replace(" ", "")
    if "->" not in subscripts or "." in subscripts:
        return call.barrier(f"{call.key} has an equation that is not followed")
    read, written = subscripts.split("->")
    held: dict[str, list[Axis | None]] = {}
    for letters, x in zip(read.split(","), call.args, strict=True):
        for c, axis in zip(letters, _tensor(x).axes, strict=True):
            held.setdefault(c, []).append(axis)
    for c, axes in held.items():
        for axis in axes[1:]:
            call.tie(axes[0], axis)
        if c not in written and axes[0] is not None:
            call.sink(
                multiplied([a for a in axes if a is not None]), why="{key} multiplies and sums over these channels"
            )
    left = {c: [a for a in held[c] if a is not None] for c in written}
    return Flow(call.shapes[0], tuple(multiplied(left[c]) if left[c] else None for c in written))


@rule("ops.DotProductAttention")
def dot_product_attention(call: Call) -> Flow:
    """Query, key and value `(batch, time, heads, width)`: heads go together, the queries' and keys' width too."""
    query, key, value = call.inputs[:3]
    for x in call.inputs[3:]:
        call.trace.pin_flow(x, call.key, "it masks attention")
    for x in (key, value):
        call.tie(query.axes[2], x.axes[2])
    contract(call, query.axes[3], key.axes[3])
    scale = call.args[5] if len(call.args) > 5 else call.kwargs.get("scale", getattr(call.op, "scale", None))
    if scale is None:
        call.pin(query.axes[3], f"{call.key} scales by this width")
    for x in (query, key, value):
        call.pin(x.axes[1], f"{call.key} attends along this axis")
    return call.out({2: zeros(value.axes[2]), 3: zeros(value.axes[3])})
