"""What follows a layer in a model's graph: its BatchNorm, and the activation that its units end in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from engine.surgery.trace import entered, functional

_SIMPLE = (
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "Dropout", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "Identity", "Add",
    "Average", "Subtract", "Multiply", "Maximum", "Minimum", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
    "Activation", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D", "AveragePooling2D",
    "AveragePooling3D",
)  # fmt: skip
_ACTIVATIONS = ("ReLU", "LeakyReLU", "PReLU", "ELU")
_OPS = (
    "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Silu", "Sigmoid", "HardSigmoid", "HardSilu", "Tanh",
    "Softplus", "Softsign", "Glu", "LogSigmoid", "HardTanh", "SquarePlus", "SparsePlus", "Threshold", "TanhShrink",
    "SoftShrink", "HardShrink",
)  # fmt: skip


class Following:
    """Who reads whom in a model, nested models looked through.

    Attributes:
        readers: by the id of a layer or operation, those that read it, in the model's order, each once.
    """

    def __init__(self, model: keras.Model) -> None:
        self.readers: dict[int, list[Any]] = {}
        graph = functional(model)
        if graph is not None:
            self._walk(graph, {})

    def norm(self, layer: Any) -> Any:
        """The BatchNorm that directly follows a layer without activation, and that nothing else reads past; or None."""
        found = self.readers.get(id(layer), [])
        if len(found) != 1 or not isinstance(found[0], keras.layers.BatchNormalization) or not is_linear(layer):
            return None
        return found[0]

    def end(self, layer: Any) -> tuple[Any, bool]:
        """The layer or operation that makes a layer's units final, and whether it is an activation.

        The layer itself where it has one; else the nearest activation behind normalisations, sums and pooling; else the
        layer itself, or the BatchNorm that follows it directly.
        """
        if not is_linear(layer):
            return layer, True
        waiting, seen = [layer], {id(layer)}
        while waiting:
            here = waiting.pop(0)
            for reader in self.readers.get(id(here), []):
                if id(reader) in seen:
                    continue
                seen.add(id(reader))
                if is_activation(reader):
                    return reader, True
                if type(reader).__name__ in _SIMPLE:
                    waiting.append(reader)
        return self.norm(layer) or layer, False

    def _walk(self, graph: Any, makers: dict[int, Any]) -> None:
        for node in _nodes(graph):
            operation = node.operation
            inner = functional(operation)
            for tensor in node.input_tensors:
                maker = makers.get(id(tensor))
                if maker is not None and inner is None:
                    known = self.readers.setdefault(id(maker), [])
                    if not any(r is operation for r in known):
                        known.append(operation)
            if inner is None:
                for tensor in node.outputs:
                    makers[id(tensor)] = operation
                continue
            for tensor, given in zip(inner.inputs, entered(inner, node) or (), strict=False):
                if id(given) in makers:
                    makers[id(tensor)] = makers[id(given)]
            self._walk(inner, makers)
            for tensor, made in zip(node.outputs, inner.outputs, strict=False):
                if id(made) in makers:
                    makers[id(tensor)] = makers[id(made)]


def is_linear(layer: Any) -> bool:
    """True when the layer has no activation of its own."""
    own = getattr(layer, "activation", None)
    return own is None or getattr(own, "__name__", "") == "linear"


def is_activation(operation: Any) -> bool:
    """True for activation layers and for the activations of `keras.ops` in the graph."""
    name = type(operation).__name__
    if name == "Activation":
        return not is_linear(operation)
    if isinstance(operation, keras.layers.Layer):
        return name in _ACTIVATIONS
    return name in _OPS


def _nodes(graph: Any) -> Iterator[Any]:
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if not node.is_input:
                yield node
