"""What a rule is given: one call of one layer, and the ways to say what happens to its channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from engine.surgery.flow import FIXED, Array, Axis, Flow, Shape, untracked

if TYPE_CHECKING:
    from engine.surgery.trace import Edit, Role, Trace


class Call:
    """One call of a layer or operation in the graph.

    Attributes:
        op: the layer or operation.
        key: its key.
        inputs: the tensors that it is given, in order.
        args, kwargs: the call's arguments, with a `Flow` for every tensor.
        shapes: the shapes of its outputs.
    """

    def __init__(self, trace: Trace, op: Any, node: Any, inputs: list[Flow], flows: dict[int, Flow]) -> None:
        self.trace, self.op, self.inputs, self.node = trace, op, inputs, node
        self.key = trace.key(op)
        self.args: Any
        self.kwargs: Any
        self.args, self.kwargs = node.arguments.fill_in(flows)
        self.shapes: list[Shape] = [tuple(x.shape) for x in node.outputs]

    def inside(self, op: Any, inputs: list[Flow], shapes: list[Shape]) -> Call:
        """A call of a layer that this one wraps, on tensors that it makes of its own."""
        call = object.__new__(Call)
        call.trace, call.op, call.inputs, call.key, call.node = self.trace, op, inputs, self.key, self.node
        call.args, call.kwargs, call.shapes = tuple(inputs), {}, shapes
        return call

    def arguments(self, edit: Callable[[Any, Any, Callable[[Array], Array]], tuple[Any, Any]]) -> None:
        """The call's own arguments follow the channels: `edit(args, kwargs, kept)` returns them anew."""
        self.trace.arguments[id(self.node)] = edit

    @property
    def constants(self) -> bool:
        """True when constants are wanted (only `shrink` pays for them)."""
        return self.trace.constants

    def units(self, variable: Any, axis: int, *, role: Role = "column", labels: Array | None = None) -> Array:
        """The channels along a variable's axis: made at the first call of the layer, the same at the next ones."""
        from engine.surgery.trace import Slot

        shape = self.trace.shape(variable)
        axis %= len(shape)
        slot = self.trace.slots.get((id(variable), axis))
        if slot is not None:
            if labels is not None:
                self.trace.tie(slot.labels, labels, self.key)
            return slot.labels
        made = self.trace.new(shape[axis]) if labels is None else labels
        self.trace.slots[id(variable), axis] = Slot(variable, axis, made, role, self.key)
        return made

    def space(self, labels: Array, *, part: str = "") -> None:
        """These are the layer's units as its user numbers them (`part` names a second set: attention's output)."""
        from engine.surgery.trace import Space

        key = f"{self.key}/{part}" if part else self.key
        self.trace.spaces.setdefault(key, Space(key, self.op, labels))

    def follows(self, variable: Any, axis: int, channels: Axis | Array | None, *, role: Role = "vector") -> None:
        """The variable has one entry a channel along this axis, and loses what the channels lose."""
        if variable is None:
            return
        if channels is None:  # said all the same: another call of the layer may bring channels that could go
            channels = np.full(self.trace.shape(variable)[axis], FIXED, np.int32)
        self.units(variable, axis, role=role, labels=channels.labels if isinstance(channels, Axis) else channels)

    def reads(
        self,
        variable: Any,
        axis: int,
        channels: Axis | None,
        *,
        fold: Callable[[Array], Array] | None = None,
    ) -> None:
        """The layer reads these channels with this variable's axis, and they end there.

        Args:
            variable: the kernel.
            axis: its input axis.
            channels: the input's axis.
            fold: what constant channels `(channels,)` add to the layer's bias; None where only zeros can go.
        """
        self.follows(variable, axis, channels, role="row")
        if channels is not None:
            self.sink(channels, fold=fold)

    def sink(
        self,
        channels: Axis,
        *,
        fold: Callable[[Array], Array] | None = None,
        why: str = "a constant that is not 0 cannot be folded into {key} exactly",
        norm: bool = False,
    ) -> None:
        """These channels end here (see `reads`)."""
        from engine.surgery.trace import Sink

        self.trace.sinks.append(Sink(self.key, self.op, channels, fold, why.format(key=self.key), norm))

    def resize(self, channels: Axis | Array | None, *keys: str) -> None:
        """These config entries are the number of these channels: `resize(labels, "units")`."""
        if channels is None:
            return
        labels = channels.labels if isinstance(channels, Axis) else channels
        for key in keys:
            self.trace.resize(self.op, key, labels, _count(key, labels))

    def edit(self, key: Any, labels: Array, edit: Edit) -> None:
        """A config entry follows these channels in a way of its own: `edit(config, kept)` changes it in place."""
        self.trace.resize(self.op, key, labels, edit)

    def whole_groups(self, *, coarse: bool) -> bool:
        """Whether this layer's channels go in whole groups (else: at equal offsets in each group).

        Args:
            coarse: equal offsets would leave the layer nothing to lose.
        """
        chosen = self.trace.whole.get(self.key, coarse)
        self.trace.grouped[self.key] = chosen
        return chosen

    def keep_some(self, channels: Axis | None) -> None:
        """Not all of these channels may go: they are a tensor of their own, a part of what a layer makes."""
        if channels is not None:
            self.trace.floors.append(channels.labels)

    def tie(self, one: Axis | Array | None, other: Axis | Array | None) -> None:
        """These channels go together, index by index; where one of them cannot go, neither can the other."""
        a, b = (x.labels if isinstance(x, Axis) else x for x in (one, other))
        if a is None and b is None:
            return
        if a is None or b is None:
            self.pin(b if a is None else a, f"{self.key} combines it with channels that cannot go")
        else:
            self.trace.tie(a, b, self.key)

    def pin(self, channels: Axis | Array | None, reason: str) -> None:
        """These channels must stay."""
        if channels is not None:
            self.trace.pin(channels.labels if isinstance(channels, Axis) else channels, self.key, reason)

    def pin_others(self, flow: Flow, keep: Sequence[int], reason: str) -> None:
        """Only these axes may lose channels."""
        wanted = {k % flow.rank for k in keep}
        for number in flow.labelled():
            if number not in wanted:
                self.pin(flow.axes[number], reason)

    def out(self, axes: dict[int, Axis | None], *, output: int = 0) -> Flow:
        """An output of which these axes can lose channels."""
        shape = self.shapes[output]
        wanted = {k % len(shape): a for k, a in axes.items()}
        return Flow(shape, tuple(wanted.get(i) for i in range(len(shape))))

    def barrier(self, reason: str) -> list[Flow]:
        """Nothing that enters may go, and nothing that leaves."""
        touched = False
        for flow in self.inputs:
            touched = touched or bool(flow.labelled())
            self.trace.pin_flow(flow, self.key, reason)
        if touched:
            self.trace.barriers[self.key] = reason
        return [untracked(shape) for shape in self.shapes]

    def evaluate(self, flow: Flow, number: int, function: Callable[[Array], Any] | None = None) -> Axis | None:
        """An elementwise operation on an axis: the same channels, and what their constants become.

        The operation itself is run on the constants, so no activation's value at 0 is written down anywhere.
        """
        axis = flow.axes[number]
        if axis is None or not self.constants or axis.const is None:
            return axis if axis is None else axis.with_const(None)
        known = ~np.isnan(axis.const)
        if not known.any():
            return axis.with_const(None)
        shape = [1] * flow.rank
        shape[number] = len(axis.const)
        dtype = str(getattr(self.op, "compute_dtype", None) or "float64")
        dtype = dtype if dtype.startswith("float") and dtype != "float16" else "float32"
        given = np.where(known, axis.const, 0.0).astype(dtype).reshape(shape)
        made = np.asarray((function or self.op)(keras.ops.convert_to_tensor(given)), np.float64)
        if made.size != len(axis.const):
            return axis.with_const(None)
        return axis.with_const(np.where(known, made.ravel(), np.nan))


def is_fixed(axis: Axis | None) -> bool:
    """True when nothing on this axis can go."""
    return axis is None or not bool((axis.labels != FIXED).any())


def _count(key: str, labels: Array) -> Edit:
    def edit(config: dict[str, Any], kept: Callable[[Array], Array]) -> None:
        config[key] = int(kept(labels).sum())

    return edit
