"""One walk through a model's graph: which channels there are, which go together, which must stay."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engine.errors import ModelError
from engine.keys import layer_keys, variable_keys
from engine.surgery import rules
from engine.surgery.call import Call
from engine.surgery.flow import FIXED, Array, Axis, Flow, Shape, untracked

if TYPE_CHECKING:
    import keras

# column: the weights that make a unit. vector: one number a unit that training changes (bias, gamma, beta).
# statistic: one that it measures (moving mean). row: the weights with which a consumer reads the unit.
Role = Literal["column", "vector", "statistic", "row"]


@dataclasses.dataclass(frozen=True, eq=False)
class Slot:
    """One axis of one variable, and the channel that each of its indices belongs to."""

    variable: Any
    axis: int
    labels: Array
    role: Role
    layer: str


@dataclasses.dataclass(frozen=True, eq=False)
class Sink:
    """A place where channels are read and end: what a removed constant channel must be made good for.

    Attributes:
        layer: the reading layer's key.
        operation: the reading layer.
        axis: the channels read, with their constants.
        fold: what constants `(channels,)` add to the layer's bias; None where only zero can go without a trace.
        why: what to say of a channel that cannot go.
        norm: the layer normalises over these channels.
    """

    layer: str
    operation: Any
    axis: Axis
    fold: Callable[[Array], Array] | None
    why: str
    norm: bool = False


@dataclasses.dataclass(frozen=True)
class Pin:
    """Channels that must stay, and why."""

    labels: Array
    layer: str
    reason: str


@dataclasses.dataclass(frozen=True, eq=False)
class Space:
    """The units of a layer as the user numbers them: the channel of each."""

    layer: str
    operation: Any
    labels: Array


Edit = Callable[[dict[str, Any], Callable[[Array], Array]], None]


class Trace:
    """Everything that the rules said about a model.

    Attributes:
        count: how many labels there are; label 0 is `FIXED`.
        slots: by (id of the variable, axis).
        spaces: the units of each layer, by layer key.
        floors: axes that no variable holds and that must not be emptied either.
        edits: what changes in an operation's config, by the operation's id.
        arguments: what changes in a call's own arguments, by the node's id.
        grouped: the keys of layers that can lose whole groups or equal offsets in each.
    """

    def __init__(self, model: keras.Model, *, constants: bool = False, whole: Mapping[str, bool] | None = None) -> None:
        self.model = model
        self.constants = constants
        self.whole = dict(whole or {})
        self.count = 1
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.edges: list[tuple[Array, Array]] = []
        self.pins: list[Pin] = []
        self.slots: dict[tuple[int, int], Slot] = {}
        self.spaces: dict[str, Space] = {}
        self.sinks: list[Sink] = []
        self.floors: list[Array] = []
        self.edits: dict[int, list[Edit]] = {}
        self.arguments: dict[int, Callable[[Any, Any, Any], tuple[Any, Any]]] = {}
        self.resized: dict[tuple[int, Any], Array] = {}
        self.grouped: dict[str, bool] = {}
        self.barriers: dict[str, str] = {}
        graph = functional(model)
        if graph is None:
            name = getattr(model, "name", type(model).__name__)
            raise ModelError(
                f"{name} is no Functional or Sequential model, so its graph cannot be seen",
                todo="Build it with the functional API, or call the Sequential model on data once",
            )
        self.layer_keys = {id(layer): key for key, layer in layer_keys(model).items()}
        self.calls: dict[int, int] = {}
        outputs = self._walk(graph, [untracked(x.shape) for x in graph.inputs])
        for tensor, flow in zip(graph.outputs, outputs, strict=True):
            name = tensor._keras_history.operation.name
            self.pin_flow(flow, name, "it makes the model's output")

    def variable_keys(self) -> dict[int, str]:
        """The key of every variable, by its id."""
        return {id(v): key for key, v in variable_keys(self.model).items()}

    def shape(self, variable: Any) -> tuple[int, ...]:
        """A variable's shape (TensorFlow makes it anew at every question)."""
        if id(variable) not in self.shapes:
            self.shapes[id(variable)] = tuple(int(n) for n in variable.shape)
        return self.shapes[id(variable)]

    def new(self, n: int) -> Array:
        """Labels for n new channels."""
        labels = np.arange(self.count, self.count + n, dtype=np.int32)
        self.count += n
        return labels

    def tie(self, one: Array, other: Array, layer: str) -> None:
        """These channels go together, index by index; a channel tied to one that must stay must stay."""
        if one is other or np.array_equal(one, other):
            return
        one, other = np.broadcast_arrays(one, other)
        free = (one != FIXED) & (other != FIXED)
        if not free.all():
            self.pin(np.concatenate([one[~free], other[~free]]), layer, f"{layer} needs them beside channels that stay")
        self.edges.append((one[free], other[free]))

    def pin(self, labels: Array, layer: str, reason: str) -> None:
        """These channels must stay."""
        if len(labels) and labels.any():
            self.pins.append(Pin(np.unique(labels), layer, reason))

    def pin_flow(self, flow: Flow, layer: str, reason: str) -> None:
        """Nothing of this tensor may go."""
        for axis in flow.axes:
            if axis is not None:
                self.pin(axis.labels, layer, reason)

    def key(self, operation: Any) -> str:
        """The key of a layer, or the name of an operation."""
        return self.layer_keys.get(id(operation), str(operation.name))

    def _walk(self, graph: Any, inputs: list[Flow]) -> list[Flow]:
        flows = {id(x): flow for x, flow in zip(graph.inputs, inputs, strict=True)}
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if node.is_input or any(id(x) not in flows for x in node.input_tensors):
                    continue
                for tensor, flow in zip(node.outputs, self._call(node, flows), strict=True):
                    flows[id(tensor)] = flow
        return [flows[id(x)] for x in graph.outputs]

    def _call(self, node: Any, flows: dict[int, Flow]) -> list[Flow]:
        operation = node.operation
        given = [flows[id(x)] for x in node.input_tensors]
        self.calls[id(operation)] = self.calls.get(id(operation), 0) + 1
        inner = functional(operation)
        call = Call(self, operation, node, given, flows)
        if inner is not None:
            entering = entered(inner, node)
            if entering is None:
                return call.barrier(f"{call.key} is called in a way that is not followed")
            for other in node.input_tensors:
                if not any(other is x for x in entering):
                    self.pin_flow(flows[id(other)], call.key, "it masks steps")
            if node.arguments.args and isinstance(node.arguments.args[0], dict) and not _by_name(inner):
                # By name: Keras sorts the keys while it infers shapes, so the smaller model is given them in order.
                names = [x.name for x in inner.inputs]
                self.arguments[id(node)] = lambda args, kwargs, kept: (([args[0][n] for n in names], *args[1:]), kwargs)
            return self._nested(inner, [flows[id(x)] for x in entering])
        what = f"{type(operation).__name__} {call.key}"
        rule = rules.find(operation)
        inside = (operation, *getattr(operation, "_layers", ()))
        if any(getattr(x, "quantization_mode", None) or getattr(x, "lora_enabled", False) for x in inside):
            return call.barrier(f"{what} holds quantized or LoRA weights")
        if rule is None:
            return call.barrier(f"{what} has no rule (see engine.surgery.rule)")
        try:
            made = rule(call)
            found: list[Flow] = [made] if isinstance(made, Flow) else list(made)
        except Exception as error:  # a rule that fails must not take the whole model with it
            return self._failed(call, f"the rule for {what} failed: {error}")
        if not fitting(found, call.shapes):
            return self._failed(call, f"the rule for {what} says of its output what does not fit its shape")
        return found

    def _failed(self, call: Call, reason: str) -> list[Flow]:
        """A barrier after a rule that may have said half of what it had to: its own channels stay as well."""
        for slot in self.slots.values():
            if slot.layer == call.key:
                self.pin(slot.labels, call.key, reason)
        return call.barrier(reason)

    def _nested(self, inner: Any, given: list[Flow]) -> list[Flow]:
        for tensor, flow in zip(inner.inputs, given, strict=True):
            layer = tensor._keras_history.operation
            for number, axis in enumerate(flow.axes):
                if number and tensor.shape[number] is not None:
                    labels = np.full(tensor.shape[number], FIXED, np.int32) if axis is None else axis.labels
                    self.resize(layer, ("batch_shape", number), labels, _input_edit(number, labels))
        return self._walk(inner, given)

    def resize(self, operation: Any, key: Any, labels: Array, edit: Edit) -> None:
        """A config entry that follows these channels; two calls of one operation must agree on it."""
        known = self.resized.setdefault((id(operation), key), labels)
        if known is labels:
            self.edits.setdefault(id(operation), []).append(edit)
        elif len(known) == len(labels):
            self.tie(known, labels, self.key(operation))
        else:
            reason = "it is called on tensors of different sizes"
            self.pin(known, self.key(operation), reason)
            self.pin(labels, self.key(operation), reason)


def fitting(flows: list[Flow], shapes: Sequence[Shape]) -> bool:
    """Whether each tensor has its rank and, on every axis that is followed, a label for each index."""
    return len(flows) == len(shapes) and all(
        flow.rank == len(shape)
        and all(a is None or n is None or len(a.labels) == n for a, n in zip(flow.axes, shape, strict=True))
        for flow, shape in zip(flows, shapes, strict=True)
    )


def functional(model: Any) -> Any:
    """The graph of a Functional or built Sequential model, or None."""
    graph = getattr(model, "_functional", model)
    return graph if hasattr(graph, "_nodes_by_depth") else None


def entered(inner: Any, node: Any) -> list[Any] | None:
    """The tensors that a call hands to a nested model, in the order of its inputs; None where that is not plain.

    A mapping goes to a model that was made from a list by the names of its inputs, whatever the order of the keys.
    """
    import keras

    given = node.arguments.args[0] if node.arguments.args else node.arguments.kwargs.get("inputs")
    if isinstance(given, dict) and not _by_name(inner):
        if not all(x.name in given for x in inner.inputs):
            return None
        found = [given[x.name] for x in inner.inputs]
    else:
        found = keras.tree.flatten(given)
    plain = len(found) == len(inner.inputs) and {id(x) for x in found} <= {id(x) for x in node.input_tensors}
    return found if plain else None


def _by_name(inner: Any) -> bool:
    """Whether a model was made from a mapping of inputs."""
    return isinstance(inner._inputs_struct, dict)


def _input_edit(number: int, labels: Array) -> Edit:
    def edit(config: dict[str, Any], kept: Callable[[Array], Array]) -> None:
        shape = list(config["batch_shape"])
        shape[number] = int(kept(labels).sum())
        config["batch_shape"] = tuple(shape)

    return edit
