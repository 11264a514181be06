"""LSTM, GRU, SimpleRNN and the wrappers around them: a unit is one row of the state, in all gates."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from engine.surgery import rules
from engine.surgery.call import Call
from engine.surgery.flow import Array, Axis, Flow
from engine.surgery.rulebook.linear import numpy
from engine.surgery.rules import rule

_K = keras.layers


@rule(_K.LSTM, _K.GRU, _K.SimpleRNN)
def recurrent(call: Call) -> list[Flow]:
    """Kernel and recurrent kernel hold each unit once a gate, side by side; the recurrent kernel also reads it."""
    layer, x = call.op, call.inputs[0]
    if layer.stateful:
        return call.barrier(f"{call.key} keeps its state between batches")
    states = _states(call)
    if states is None:
        return call.barrier(f"{call.key} is called in a way that is not followed")
    made = _unit_labels(call, layer)
    call.space(made)
    call.pin_others(x, [-1], f"{call.key} runs along this axis")
    call.reads(layer.cell.kernel, 0, x.axis(-1))
    for state in states:
        call.tie(state.axis(-1), made)
    const = None
    if call.constants:
        const = _silent(layer.cell, len(made))
        for state in states:
            begins = state.axis(-1)
            zero = begins is not None and begins.const is not None and begins.const == 0
            const = np.where(zero, const, np.nan)
        call.sink(Axis(made, const))  # its own recurrent kernel reads it
    return [call.out({-1: Axis(made, const)}, output=i) for i in range(len(call.shapes))]


@rule(_K.Bidirectional)
def bidirectional(call: Call) -> list[Flow]:
    """Unit i of both directions goes together (Keras wants both of one size); side by side, forward ones come first."""
    layer, x = call.op, call.inputs[0]
    if layer.stateful or layer.return_state or _states(call) != [] or layer.merge_mode is None:
        return call.barrier(f"{call.key} hands states around in a way that is not followed")
    call.pin_others(x, [-1], f"{call.key} runs along this axis")
    sides = []
    for part in (layer.forward_layer, layer.backward_layer):
        if rules.find(part) is not recurrent:
            return call.barrier(f"{call.key} holds a layer without a rule")
        inner = call.inside(part, [x], [])
        made = _unit_labels(inner, part)
        inner.reads(part.cell.kernel, 0, x.axis(-1))
        const = _silent(part.cell, len(made)) if call.constants else None
        if call.constants:
            call.sink(Axis(made, const))
        sides.append(Axis(made, const))
    one, two = sides
    call.tie(one, two)
    if layer.merge_mode == "concat":
        both = Axis(np.concatenate([one.labels, two.labels]))
        if one.const is not None and two.const is not None:
            both = both.with_const(np.concatenate([one.const, two.const]))
    else:
        both = one if one.const is None or two.const is None else one.with_const(_merge(layer, one.const, two.const))
    call.space(both.labels)
    return [call.out({-1: both})]


@rule(_K.TimeDistributed)
def time_distributed(call: Call) -> Flow | list[Flow]:
    """The layer inside, at every step."""
    x, inner = call.inputs[0], call.op.layer
    found = rules.find(inner)
    if found is None or x.axes[1] is not None:
        return call.barrier(f"{call.key} holds a layer without a rule")
    once = Flow((x.shape[0], *x.shape[2:]), (x.axes[0], *x.axes[2:]))
    made = found(call.inside(inner, [once], [(s[0], *s[2:]) for s in call.shapes]))
    flows = [made] if isinstance(made, Flow) else list(made)
    return [Flow(s, (f.axes[0], None, *f.axes[1:])) for s, f in zip(call.shapes, flows, strict=True)]


def _states(call: Call) -> list[Flow] | None:
    """The initial states that the call is given; None where something else is. A mask says which steps count."""
    given = call.args[1] if len(call.args) > 1 else call.kwargs.get("initial_state")
    mask = call.args[2] if len(call.args) > 2 else call.kwargs.get("mask")
    states = list(given) if isinstance(given, (list, tuple)) else [] if given is None else [given]
    if isinstance(mask, Flow):
        call.trace.pin_flow(mask, call.key, "it masks steps")
    if not all(isinstance(s, Flow) for s in states):
        return None
    return states if len(call.inputs) == 1 + len(states) + isinstance(mask, Flow) else None


def _unit_labels(call: Call, layer: Any) -> Array:
    cell = layer.cell
    made = call.units(cell.recurrent_kernel, 0, role="row")
    gates = int(cell.kernel.shape[1]) // len(made)
    wide = np.tile(made, gates)
    for kernel in (cell.kernel, cell.recurrent_kernel):
        call.follows(kernel, 1, wide, role="column")
    call.follows(cell.bias, -1, wide)
    call.resize(made, "units")
    return made


def _silent(cell: Any, units: int) -> Array:
    """0 for units whose gates are all 0: their state starts at 0 and stays there (tanh(0) is 0)."""
    empty = np.ones(units, bool)
    for variable in (cell.kernel, cell.recurrent_kernel, cell.bias):
        if variable is not None:
            value = numpy(variable)
            empty &= (value.reshape(-1, value.shape[-1] // units, units) == 0).all((0, 1))
    start = float(np.asarray(cell.activation(keras.ops.zeros((1,))))[0])
    return np.where(empty & (start == 0), 0.0, np.nan)


def _merge(layer: Any, one: Array, two: Array) -> Array:
    if layer.merge_mode == "mul":
        return one * two
    both: Array = one + two
    return both if layer.merge_mode == "sum" else both / 2
