"""Dense, EinsumDense and Embedding: layers that make units of their own."""

from __future__ import annotations

import keras
import numpy as np

from engine.surgery.call import Call
from engine.surgery.flow import Array, Axis, Flow
from engine.surgery.rulebook.activations import elementwise
from engine.surgery.rules import rule


@rule(keras.layers.Dense)
def dense(call: Call) -> Flow:
    """Units are the kernel's columns; its rows read the last axis of the input."""
    layer, x = call.op, call.inputs[0]
    made = call.units(layer.kernel, 1)
    call.reads(layer.kernel, 0, x.axis(-1), fold=lambda const: const @ numpy(layer.kernel))
    call.follows(layer.bias, 0, made)
    call.resize(made, "units")
    call.space(made)
    const = None
    if call.constants:
        const = product(numpy(layer.kernel), None if layer.bias is None else numpy(layer.bias), x.axis(-1))
    flow = Flow(call.shapes[0], (*(a and a.with_const(None) for a in x.axes[:-1]), Axis(made, const)))
    return activated(call, flow, -1)


@rule(keras.layers.Embedding)
def embedding(call: Call) -> Flow:
    """Units are the table's columns (its width); rows are words and stay."""
    layer, x = call.op, call.inputs[0]
    made = call.units(layer.embeddings, 1)
    call.resize(made, "output_dim")
    call.space(made)
    const = None
    if call.constants:
        table = numpy(layer.embeddings)
        const = np.where((table == table[:1]).all(0), table[0], np.nan)
    return Flow(call.shapes[0], (*(a and a.with_const(None) for a in x.axes), Axis(made, const)))


def numpy(variable: object) -> Array:
    """A variable's value in float64."""
    return np.asarray(variable, np.float64)


def product(matrix: Array, bias: Array | None, given: Axis | None, *, zeros_only: bool = False) -> Array:
    """The constants that a linear layer makes: `(in, out)`, `(out,)` and the input's axis to `(out,)`.

    A unit is constant when all that it reads with a weight other than 0 is. `zeros_only`: a constant other than 0 does
    not arrive as a constant (padding).
    """
    known = np.zeros(len(matrix), bool) if given is None or given.const is None else ~np.isnan(given.const)
    value = np.zeros(len(matrix)) if given is None or given.const is None else np.where(known, given.const, 0.0)
    if zeros_only:
        known &= value == 0
        value = np.where(known, value, 0.0)
    made: Array = value @ matrix + (0.0 if bias is None else bias)
    return np.where((matrix[~known] != 0).any(0), np.nan, made)


def activated(call: Call, flow: Flow, number: int) -> Flow:
    """The output after the layer's own activation."""
    function = getattr(call.op, "activation", None)
    if function is None or getattr(function, "__name__", "") == "linear":
        return flow
    if not elementwise(function, flow.rank):
        call.trace.pin_flow(flow, call.key, f"{call.key}'s activation mixes its units")
        return Flow(flow.shape, tuple(a and a.with_const(None) for a in flow.axes))
    number %= flow.rank
    return flow.put(number, call.evaluate(flow, number, function), dim=flow.shape[number])
