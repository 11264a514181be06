"""Attention, whose units are heads, and EinsumDense, of which its projections are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from engine.surgery.call import Call
from engine.surgery.flow import Array, Axis, Flow
from engine.surgery.rulebook.linear import activated, numpy
from engine.surgery.rulebook.merging import contract, zeros
from engine.surgery.rules import rule

_NAMES = ("query", "value", "key")


@rule(keras.layers.MultiHeadAttention)
def multi_head(call: Call) -> list[Flow]:
    """A head is one slice of the query, key, value and output kernels; the output's width is a second set of units."""
    layer = call.op
    heads = call.units(layer._query_dense.kernel, 1)
    for dense in (layer._query_dense, layer._key_dense, layer._value_dense, getattr(layer, "_gate_dense", None)):
        if dense is not None:
            call.follows(dense.kernel, 1, heads, role="column")
            call.follows(dense.bias, 0, heads)
    call.resize(heads, "num_heads")
    return _attention(call, heads, heads)


@rule(keras.layers.GroupQueryAttention)
def grouped_query(call: Call) -> list[Flow]:
    """A unit is one key-value head with all the query heads that share it."""
    layer = call.op
    heads = call.units(layer._key_dense.kernel, 1)
    many = int(layer._query_dense.kernel.shape[1]) // len(heads)
    queries = np.repeat(heads, many)
    for dense, labels in (
        (layer._query_dense, queries),
        (layer._key_dense, heads),
        (layer._value_dense, heads),
        (getattr(layer, "_gate_dense", None), queries),
    ):
        if dense is not None:
            call.follows(dense.kernel, 1, labels, role="column")
            call.follows(dense.bias, 0, labels)
    call.resize(heads, "num_key_value_heads")
    call.resize(queries, "num_query_heads")
    return _attention(call, heads, queries)


@rule(keras.layers.Attention)
def attention(call: Call) -> Flow | list[Flow]:
    """Query and key are multiplied and summed over their width; the value's width comes out."""
    x = call.args[0] if call.args else call.kwargs.get("inputs")
    if call.op.score_mode != "dot" or len(call.shapes) > 1 or not isinstance(x, (list, tuple)):
        return call.barrier(f"{call.key} attends in a way that is not followed")
    query, value = x[0], x[1]
    key = x[2] if len(x) > 2 else value
    for each in (query, value, key):
        call.pin_others(each, [-1], f"{call.key} attends along this axis")
    contract(call, query.axis(-1), key.axis(-1))
    return call.out({-1: zeros(value.axis(-1))})


def _attention(call: Call, heads: Array, queries: Array) -> list[Flow]:
    layer = call.op
    given = _bound(call)
    query, value = given["query"], given["value"]
    key = given["key"] or value
    if query is None or value is None or key is None:
        return call.barrier(f"{call.key} is called in a way that is not followed")
    for name, x in (("query", query), ("key", key), ("value", value), ("gate", query)):
        call.pin_others(x, [-1], f"{call.key} attends along this axis")
        dense = getattr(layer, f"_{name}_dense", None)
        if dense is not None:
            call.reads(dense.kernel, 0, x.axis(-1))
    out = layer._output_dense
    call.follows(out.kernel, 0, queries, role="column")
    call.space(heads)
    flows: list[Flow] = []
    const = None
    if call.constants:
        call.sink(Axis(queries, _heads(layer, len(heads), len(queries))))
        empty = (numpy(out.kernel) == 0).all((0, 1)) if len(out.kernel.shape) == 3 else None
        if empty is not None:
            bias = np.zeros(len(empty)) if out.bias is None else numpy(out.bias)
            const = np.where(empty, bias, np.nan)
    if len(out.kernel.shape) == 3:
        made = call.units(out.kernel, 2)
        call.follows(out.bias, 0, made)
        call.space(made, part="attention_output")
        if isinstance(layer, keras.layers.MultiHeadAttention):
            call.edit("output_shape", made, _output_shape(made, query.axis(-1)))
        else:
            call.tie(made, query.axis(-1))  # its output width is always the query's
        flows.append(call.out({-1: Axis(made, const)}))
    else:
        flows.append(call.out({}))
    if len(call.shapes) > 1:
        flows.append(call.out({1: Axis(queries)}, output=1))
    return flows


def _heads(layer: Any, heads: int, queries: int) -> Array:
    # A head is silent when its values are all 0, or when the output reads it with nothing but zeros.
    value, out = layer._value_dense, layer._output_dense
    silent = (numpy(value.kernel) == 0).all((0, 2))
    if value.bias is not None:
        silent &= (numpy(value.bias) == 0).all(-1)
    silent = np.repeat(silent, queries // heads)
    silent |= (numpy(out.kernel) == 0).reshape(queries, -1).all(-1)
    return np.where(silent, 0.0, np.nan)


def _bound(call: Call) -> dict[str, Flow | None]:
    found: dict[str, Flow | None] = dict.fromkeys(_NAMES)
    for name, x in zip(_NAMES, call.args, strict=False):
        found[name] = x if isinstance(x, Flow) else None
    for name in _NAMES:
        if isinstance(call.kwargs.get(name), Flow):
            found[name] = call.kwargs[name]
    return found


def _output_shape(made: Array, query: Axis | None) -> Callable[[dict[str, Any], Callable[[Array], Array]], None]:
    def edit(config: dict[str, Any], kept: Callable[[Array], Array]) -> None:
        width = int(kept(made).sum())
        asked = len(made) if query is None else int(kept(query.labels).sum())
        if config["output_shape"] is not None or width != asked:
            config["output_shape"] = [width]

    return edit


@rule(keras.layers.EinsumDense)
def einsum_dense(call: Call) -> Flow | list[Flow]:
    """Every letter of the equation is an axis: the kernel makes some, sums over some, and shares some."""
    layer, x = call.op, call.inputs[0]
    inputs, rest = layer.equation.split(",")
    kernel, output = rest.split("->")
    if "." in inputs.removeprefix("...") + output.removeprefix("..."):
        return call.barrier(f"{call.key} has an equation that is not followed")
    read, written = inputs.replace(".", ""), output.replace(".", "")
    axes: dict[str, Axis | None] = {c: x.axes[i - len(read)] for i, c in enumerate(read)}
    made: list[str] = [c for c in kernel if c in written and c not in read]
    summed = [c for c in kernel if c in read and c not in written]
    shared = [c for c in kernel if c in read and c in written]
    for c in made:
        labels = call.units(layer.kernel, kernel.index(c))
        axes[c] = Axis(labels)
        call.space(labels, part="" if c == made[0] else c)
    fold = None
    biased = [c for c in written if c in (layer.bias_axes or "")]
    if len(summed) == 1 and not shared and layer.bias is not None and len(layer.bias.shape) == len(made):
        weights, place = numpy(layer.kernel), kernel.index(summed[0])
        if biased == [m for m in kernel if m in made]:  # the bias is one of units, in the kernel's order

            def fold(const: Array) -> Array:
                return np.tensordot(const, weights, (0, place))

    for c in summed:
        call.reads(layer.kernel, kernel.index(c), axes[c], fold=fold)
    for c in shared:
        call.follows(layer.kernel, kernel.index(c), axes[c], role="row")
    lead = x.rank - len(read)
    for c in read:
        if c not in written and c not in kernel:
            call.pin(axes[c], f"{call.key} sums over this axis")
    out: list[Axis | None] = [a and a.with_const(None) for a in x.axes[:lead]]
    for c in written:
        axis = axes[c]
        out.append(axis if axis is None else axis.with_const(None))
    flow = Flow(call.shapes[0], tuple(out))
    if layer.bias is not None:
        for back in range(1, len(layer.bias.shape) + 1):
            if written[-back] in (layer.bias_axes or ""):
                call.follows(layer.bias, -back, flow.axes[-back])
    for back in range(1, min(len(layer.partial_output_shape), len(written)) + 1):
        axis = flow.axes[-back]
        if axis is not None:
            call.edit(("output_shape", -back), axis.labels, _sized(-back, axis.labels))
    if call.constants and len(made) == 1 and not shared and (layer.bias is None or biased == made):
        letter = kernel.index(made[0])
        empty = (numpy(layer.kernel) == 0).all(tuple(a for a in range(len(kernel)) if a != letter))
        offset = np.zeros(len(empty)) if layer.bias is None else numpy(layer.bias).reshape(-1)
        at = written.index(made[0]) - len(written)
        flow = flow.put(at, Axis(call.units(layer.kernel, letter), np.where(empty, offset, np.nan)), dim=flow.shape[at])
    if len(made) != 1:
        function = getattr(layer, "activation", None)
        if function is not None and getattr(function, "__name__", "") != "linear":
            return activated(call, flow, -1)
        return flow
    return activated(call, flow, written.index(made[0]) - len(written))


def _sized(back: int, labels: Array) -> Callable[[dict[str, Any], Callable[[Array], Array]], None]:
    def edit(config: dict[str, Any], kept: Callable[[Array], Array]) -> None:
        given = config["output_shape"]
        shape = [given] if isinstance(given, int) else list(given)
        if shape[back] is not None:
            shape[back] = int(kept(labels).sum())
        config["output_shape"] = tuple(shape)

    return edit
