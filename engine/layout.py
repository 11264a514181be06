"""Where the kernels of a model are and how their axes are to be read (the table of methods.md)."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.keys import layer_keys, variable_keys

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class Layout:
    """How to read a kernel's axes.

    Attributes:
        unit_axes: axes that together number the units (flattened in this order).
        input_axis: the axis that runs over input channels, or None (depthwise: each channel is its own input).
        gates: how many gates lie side by side along the last unit axis (GRU 3, LSTM 4); units are counted once.
    """

    unit_axes: tuple[int, ...]
    input_axis: int | None
    gates: int = 1

    def units(self, shape: tuple[int, ...]) -> int:
        """How many units a kernel of this shape has."""
        return math.prod(shape[a] for a in self.unit_axes) // self.gates

    def columns(self, array: Array) -> Array:
        """The kernel as a matrix `(fan_in, units)`; a unit's gates are stacked in its column."""
        unit = [a % array.ndim for a in self.unit_axes]
        rest = [a for a in range(array.ndim) if a not in unit]
        flat = np.transpose(array, rest + unit).reshape(math.prod(array.shape[a] for a in rest), -1)
        if self.gates == 1:
            return flat
        return flat.reshape(flat.shape[0], self.gates, -1).reshape(flat.shape[0] * self.gates, -1)

    def spread(self, per_unit: Array, shape: tuple[int, ...]) -> Array:
        """One value a unit, repeated over that unit's weights: the inverse direction of `columns`."""
        unit = [a % len(shape) for a in self.unit_axes]
        tiled = np.tile(per_unit, self.gates).reshape([shape[a] for a in unit])
        order = np.argsort(unit)
        small = np.transpose(tiled, order).reshape([shape[a] if a in unit else 1 for a in range(len(shape))])
        return np.broadcast_to(small, shape)


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One prunable variable: its keys, the layer that holds it, and its layout."""

    key: str
    layer_key: str
    layer: keras.Layer
    variable: keras.Variable
    layout: Layout

    @property
    def shape(self) -> tuple[int, ...]:
        """The variable's shape."""
        return tuple(int(n) for n in self.variable.shape)

    @property
    def units(self) -> int:
        """How many units the kernel has."""
        return self.layout.units(self.shape)


LAST = Layout((-1,), -2)
_BY_CLASS: dict[tuple[str, str], Layout] = {
    ("Conv1DTranspose", "kernel"): Layout((-2,), -1),
    ("Conv2DTranspose", "kernel"): Layout((-2,), -1),
    ("Conv3DTranspose", "kernel"): Layout((-2,), -1),
    ("DepthwiseConv1D", "kernel"): Layout((-2, -1), None),
    ("DepthwiseConv2D", "kernel"): Layout((-2, -1), None),
    ("SeparableConv1D", "depthwise_kernel"): Layout((-2, -1), None),
    ("SeparableConv2D", "depthwise_kernel"): Layout((-2, -1), None),
    ("SeparableConv1D", "pointwise_kernel"): LAST,
    ("SeparableConv2D", "pointwise_kernel"): LAST,
    ("GRUCell", "kernel"): Layout((-1,), 0, gates=3),
    ("GRUCell", "recurrent_kernel"): Layout((-1,), 0, gates=3),
    ("LSTMCell", "kernel"): Layout((-1,), 0, gates=4),
    ("LSTMCell", "recurrent_kernel"): Layout((-1,), 0, gates=4),
    ("Embedding", "embeddings"): Layout((-1,), 0),
}
_ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention")
_NO_KERNELS = ("bias", "gamma", "beta", "alpha", "scale")
_NAMES = ("kernel", "depthwise_kernel", "pointwise_kernel", "recurrent_kernel", "embeddings")


def layout_of(owner: keras.Layer, variable: keras.Variable, *, within: keras.Layer | None = None) -> Layout | None:
    """The layout of a layer's own variable, or None when it is no kernel (a bias, a moving mean, a scale).

    Args:
        owner: the layer that holds the variable.
        variable: the variable.
        within: the layer of the model that `owner` is a part of; attention's projections have heads as units.
    """
    name = kernel_name(owner, variable)
    if name is None or len(variable.shape) < 2:
        return None
    if within is not owner and any(c.__name__ in _ATTENTION for c in type(within).__mro__):
        return Layout((0,), 1) if owner.name == "attention_output" else Layout((1,), 0)
    for cls in type(owner).__mro__:
        if (cls.__name__, name) in _BY_CLASS:
            return _BY_CLASS[cls.__name__, name]
    if type(owner).__name__ == "EinsumDense":
        return _einsum(owner.equation, len(variable.shape))
    return LAST


def kernel_name(owner: keras.Layer, variable: keras.Variable) -> str | None:
    """What kind of kernel it is (`kernel`, `depthwise_kernel`, ...), by its name or by what its layer calls it."""
    if variable.name in _NAMES:
        return str(variable.name)
    return next((name for name in _NAMES if getattr(owner, "__dict__", {}).get(name) is variable), None)


def unknown_weights(model: keras.Model) -> dict[str, str]:
    """Matrices of the user's own layers that nobody called a kernel: by variable key, why they are left whole."""
    known = {id(k.variable) for k in kernels(model).values()}
    keys = {id(v): k for k, v in variable_keys(model).items()}
    found: dict[str, str] = {}
    for layer in model._flatten_layers(include_self=True, recursive=True):
        if type(layer).__module__.partition(".")[0] == "keras":
            continue
        for variable in layer._trainable_variables:
            key = keys.get(id(variable))
            if key is None or id(variable) in known or len(variable.shape) < 2:
                continue
            if not any(word in variable.name for word in _NO_KERNELS):
                found[key] = (
                    "it belongs to a model, not to a layer: put it into a layer of its own"
                    if hasattr(layer, "get_layer")
                    else "nothing says that it is a kernel: name it kernel, or keep it as self.kernel"
                )
    return found


def kernels(model: keras.Model, *, trainable_only: bool = False) -> dict[str, Kernel]:
    """All prunable kernels of a built model by variable key, in the model's order."""
    keys = {id(v): k for k, v in variable_keys(model).items()}
    found: dict[str, Kernel] = {}
    for layer_key, layer in layer_keys(model).items():
        for owner in parts(layer):
            for variable in own_variables(owner):
                key = keys.get(id(variable))
                layout = layout_of(owner, variable, within=layer)
                if key is None or key in found or layout is None or (trainable_only and not variable.trainable):
                    continue
                found[key] = Kernel(key, layer_key, owner, variable, layout)
    return found


def parts(layer: keras.Layer) -> list[keras.Layer]:
    """The layer and the layers inside it (attention's projections, a recurrent cell, a wrapper's layer)."""
    return list(layer._flatten_layers(include_self=True, recursive=True))


def own_variables(layer: keras.Layer) -> list[keras.Variable]:
    """The variables that belong to this layer itself, not to layers inside it."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def _einsum(equation: str, rank: int) -> Layout:
    # "abc,cde->abde": d and e number the output; c is contracted.
    inputs, rest = equation.replace("...", "").split(",")
    kernel, output = rest.split("->")
    if len(kernel) != rank:
        return LAST
    made = tuple(i for i, c in enumerate(kernel) if c in output and c not in inputs)
    contracted = [i for i, c in enumerate(kernel) if c in inputs and c not in output]
    return Layout(made or (rank - 1,), contracted[-1] if contracted else None)
