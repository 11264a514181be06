"""What layers are given while a model runs on unlabelled inputs, a batch at a time; nothing is kept of it here."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import DataError
from engine.repairs.inputs import input_batches
from engine.repairs.listening import Call, replaced

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
_BYTES = 1 << 27  # of the widest tensor of one batch


class EnoughHeard(BaseException):
    """Ends a forward pass: what follows the last reader is not needed (no error, so nobody catches it)."""


def rows_for(model: keras.Model) -> int:
    """How many rows to run at a time: as many as keep the widest tensor within 128 MiB."""
    from engine.keys import layer_keys

    widest = 1
    for layer in layer_keys(model).values():
        for node in layer._inbound_nodes:
            for tensor in node.outputs:
                widest = max(widest, math.prod(int(n or 1) for n in tensor.shape[1:]))
    return int(min(max(_BYTES // (4 * widest), 1), 1 << 15))


def inputs_of(x: Any, *, model: keras.Model, rows: int | None = None) -> Callable[[], Iterable[Any]]:
    """Batches of inputs that can be gone through again and again.

    Args:
        x: an array, `(x, y)`, a `tf.data.Dataset`, or an iterator over batches (which is then held in memory).
        model: what they are for.
        rows: rows a batch of arrays; None takes as many as memory allows.

    Raises:
        DataError: there are none, or they are of another shape than the model reads.
    """
    at_a_time = rows or rows_for(model)
    held = list(x) if hasattr(x, "__next__") else None

    def batches() -> Iterable[Any]:
        return input_batches(x, rows=at_a_time) if held is None else held

    first = next(iter(batches()), None)
    if first is None:
        raise DataError("there are no inputs to interpolate from")
    _check_shape(first, model)
    return batches


def _check_shape(batch: Any, model: keras.Model) -> None:
    from engine.surgery.trace import functional

    wanted = getattr(functional(model), "inputs", None) or []
    if len(wanted) != 1 or not hasattr(batch, "shape") or len(batch.shape) != len(wanted[0].shape):
        return
    given, reads = tuple(batch.shape[1:]), tuple(wanted[0].shape[1:])
    if any(w not in (None, n) for n, w in zip(given, reads, strict=True)):
        raise DataError(f"the inputs have shape {given} a sample, and {model.name} reads {reads}")


def order_of(model: keras.Model, layers: Sequence[keras.Layer], batch: Any) -> dict[int, tuple[int, int]]:
    """For each layer that runs, by its id: its place among the layers in order of running, and how often it runs."""
    import tensorflow as tf

    heard: list[int] = []
    with replaced({layer: _listener(layer, lambda who, _: heard.append(who)) for layer in layers}):
        model(tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf[:1]), batch), training=False)
    places = {who: place for place, who in enumerate(dict.fromkeys(heard))}
    return {who: (place, heard.count(who)) for who, place in places.items()}


def hear(
    model: keras.Model, layers: Sequence[keras.Layer], batches: Iterable[Any], *, calls: int
) -> Iterator[dict[int, list[Array]]]:
    """What these layers are given on each batch, by the layer's id: one array a call of the layer.

    Only the part of the model below them is computed.

    Args:
        model: a built model; it is run in inference mode.
        layers: the layers to listen to.
        batches: batches of inputs.
        calls: how often they are called in one run of the model, all together.
    """
    import tensorflow as tf

    heard: list[tuple[int, Any]] = []

    def note(who: int, what: Any) -> None:
        heard.append((who, what))
        if len(heard) == calls:
            raise EnoughHeard

    # Not compiled: another part of the model runs at each pass, for few batches, and tracing would cost more than that.
    with replaced({layer: _listener(layer, note) for layer in layers}):
        for batch in batches:
            heard.clear()
            with contextlib.suppress(EnoughHeard):
                model(tf.nest.map_structure(tf.convert_to_tensor, batch), training=False)
            by_layer: dict[int, list[Array]] = {id(layer): [] for layer in layers}
            for who, value in heard:
                by_layer[who].append(value.numpy())
            yield by_layer


def _listener(layer: keras.Layer, note: Callable[[int, Any], None]) -> Callable[[Call], Call]:
    def make(real: Call) -> Call:
        def call(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            note(id(layer), inputs)
            return real(inputs, *args, **kwargs)

        return call

    return make
