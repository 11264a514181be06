"""Who reads a group of units, and whether a linear map of them can be folded into every reader."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.keys import layer_keys
from engine.layout import own_variables
from engine.surgery.groups import Components, Group
from engine.surgery.trace import Slot, Trace

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
_RECURRENT = ("LSTM", "GRU", "SimpleRNN")
_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")


@dataclasses.dataclass(frozen=True, eq=False)
class Reader:
    """A layer that is linear in what it reads.

    Attributes:
        key: the layer's key, and for a layer with several kernels which of them (`bidirectional/forward`).
        layer: the layer; of a wrapper's, the wrapper.
        variable: its kernel.
        axis: the kernel's input axis.
        channel: the axis of the layer's input tensor that the kernel's input axis runs over.
        labels: int `(inputs,)`: the surgery's label of each input channel.
    """

    key: str
    layer: keras.Layer
    variable: keras.Variable
    axis: int
    channel: int
    labels: Array

    def rows(self, tensor: Array) -> Array:
        """An input of the layer as Z: `(rows, inputs)`, one row a sample and position."""
        flat: Array = np.moveaxis(tensor, self.channel, -1).reshape(-1, len(self.labels))
        return flat


@dataclasses.dataclass(frozen=True, eq=False)
class Read:
    """A group as one reader reads it: `index` `(units, blocks)` are the reader's inputs that are unit i."""

    reader: Reader
    index: Array


@dataclasses.dataclass(frozen=True, eq=False)
class Coupled:
    """A group of units, and all that reads it.

    Attributes:
        group: as surgery has it.
        labels: int `(units,)`: one label of each unit.
        reads: its readers.
        obstacle: why it cannot be interpolated, or "".
    """

    group: Group
    labels: Array
    reads: tuple[Read, ...]
    obstacle: str = ""

    @property
    def name(self) -> str:
        """The first layer that makes the units."""
        return self.group.layers[0] if self.group.layers else "?"


@dataclasses.dataclass(frozen=True, eq=False)
class Couplings:
    """Every group of a model whose units surgery could remove."""

    trace: Trace
    parts: Components
    groups: tuple[Coupled, ...]

    @property
    def readers(self) -> list[Reader]:
        """Every reader of a group that can be interpolated, once; a layer may hold several."""
        found = {id(r.reader): r.reader for g in self.groups if not g.obstacle for r in g.reads}
        return list(found.values())


def couplings(model: keras.Model) -> Couplings:
    """Finds groups and readers, and says of each group whether it can be interpolated.

    Raises:
        ModelError: the model has no graph that can be seen.
    """
    trace = Trace(model)
    parts = Components(trace)
    layers = layer_keys(model)
    keys = trace.variable_keys()
    slots = {(keys.get(i, slot.variable.path), axis): slot for (i, axis), slot in trace.slots.items()}
    linear = {(key, slot.axis): _reader(slot, layers) for (key, _), slot in slots.items() if slot.role == "row"}
    made = [_coupled(g, slots, linear, trace, parts) for g in parts.groups if not g.stays]
    return Couplings(trace, parts, tuple(made))


def _coupled(
    group: Group,
    slots: dict[tuple[str, int], Slot],
    linear: dict[tuple[str, int], Reader | None],
    trace: Trace,
    parts: Components,
) -> Coupled:
    key, axis, index = group.members[0]
    labels = slots[key, axis].labels[index[:, 0]]
    components = parts.of[labels]
    reads, obstacle, readers = [], "", set()
    for (key, axis, index), role in zip(group.members, group.roles, strict=True):
        if role != "row":
            continue
        reader = linear[key, axis]
        if reader is None:
            layer = slots[key, axis].layer
            obstacle = obstacle or f"{layer} reads the units in a way that a linear map cannot be folded into"
        else:
            reads.append(Read(reader, index))
            readers.add(slots[key, axis].layer)
    for sink in trace.sinks:
        if sink.layer not in readers and np.isin(parts.of[sink.axis.labels], components).any():
            obstacle = obstacle or f"{sink.layer} ({type(sink.operation).__name__}) is not linear in the units"
    if not reads:
        obstacle = obstacle or "nothing linear reads these units"
    return Coupled(group, labels, tuple(reads), obstacle)


def _reader(slot: Slot, layers: dict[str, keras.Layer]) -> Reader | None:
    layer: Any = layers.get(slot.layer)
    if layer is None:
        return None
    kind = _kind(layer)
    if kind == "Bidirectional":
        for side, part in (("forward", layer.forward_layer), ("backward", layer.backward_layer)):
            inside = _linear(slot, part)
            if inside is not None:
                return dataclasses.replace(inside, key=f"{slot.layer}/{side}", layer=layer)
        return None
    if kind == "TimeDistributed":  # it is given what the layer inside reads, with the steps as one more axis in front
        inside = _linear(slot, layer.layer)
        return inside and dataclasses.replace(inside, layer=layer, channel=inside.channel + (inside.channel > 0))
    return _linear(slot, layer)


def _kind(layer: keras.Layer) -> str:
    """Keras' own class that a layer is or extends."""
    return next((c.__name__ for c in type(layer).__mro__ if c.__module__.startswith("keras.")), "")


def _linear(slot: Slot, layer: Any) -> Reader | None:
    if slot.variable is None:
        return None
    kind = _kind(layer)
    if kind in _RECURRENT and slot.variable is layer.cell.kernel:  # every gate is linear in what comes in at a step
        return Reader(slot.layer, layer, slot.variable, slot.axis, -1, slot.labels)
    if not any(v is slot.variable for v in own_variables(layer)):
        return None
    if slot.variable is not getattr(layer, "_kernel", getattr(layer, "kernel", None)):
        return None
    if kind == "Dense":
        channel = -1
    elif kind in _CONVOLUTIONS and getattr(layer, "groups", 1) == 1:
        channel = 1 if layer.data_format == "channels_first" else -1
    else:
        channel = _summed(layer.equation, slot.axis) if kind == "EinsumDense" else 0
    if not channel:
        return None
    variable: Any = slot.variable
    return Reader(slot.layer, layer, variable, slot.axis, channel, slot.labels)


def _summed(equation: str, axis: int) -> int:
    """Where the input holds the letter of a kernel axis that is summed over, counted from its end; 0: it is not."""
    inputs, rest = equation.replace("...", "").split(",")
    kernel, output = rest.split("->")
    letter = kernel[axis]
    return inputs.index(letter) - len(inputs) if letter in inputs and letter not in output else 0
