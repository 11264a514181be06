"""Networks of fully connected layers in a row, as plain matrices: what libraries of sparse matrices can run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import ModelError

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
Activation = Callable[[Array], Array]


@dataclasses.dataclass(frozen=True)
class Step:
    """`activation(x @ kernel + bias)`: kernel `(in, out)`, bias `(out,)` or None; activation by Keras' name."""

    kernel: Array
    bias: Array | None
    activation: str


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


ACTIVATIONS: dict[str, Activation] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softmax": _softmax,
}
_IGNORED = ("InputLayer", "Dropout", "Flatten", "GaussianNoise", "GaussianDropout", "AlphaDropout", "Identity")


def chain(model: keras.Model) -> list[Step]:
    """The model's layers as steps.

    Raises:
        ModelError: when it is anything but fully connected layers in a row.
    """
    steps: list[Step] = []
    for layer in _in_a_row(model):
        kind = type(layer).__name__
        name = getattr(getattr(layer, "activation", None), "__name__", "linear")
        if kind == "Dense":
            bias = layer.bias.numpy() if layer.use_bias else None
            steps.append(Step(layer.kernel.numpy(), bias, name))
        elif kind in ("Activation", "ReLU", "Softmax") and steps:
            name = {"ReLU": "relu", "Softmax": "softmax"}.get(kind, name)
            if steps[-1].activation != "linear":
                raise ModelError(f"{layer.name} is a second activation in a row")
            steps[-1] = dataclasses.replace(steps[-1], activation=name)
        elif kind not in _IGNORED:
            raise ModelError(f"{layer.name} is no fully connected layer")
        if steps and steps[-1].activation not in ACTIVATIONS:
            raise ModelError(f"{layer.name} has the activation {steps[-1].activation}")
    if not steps:
        raise ModelError("there is no fully connected layer")
    return steps


def numpy_dense(steps: list[Step]) -> Callable[[Array], Array]:
    """The chain on NumPy's dense products: what the sparse ones have to beat; inputs `(rows, in)`."""

    def run(x: Array) -> Array:
        y = x.reshape(len(x), -1)
        for step in steps:
            y = y @ step.kernel
            if step.bias is not None:
                y += step.bias
            y = ACTIVATIONS[step.activation](y)
        return y

    return run


def scipy_csr(steps: list[Step]) -> Callable[[Array], Array]:
    """The chain on SciPy's compressed sparse rows; inputs `(rows, in)`."""
    from scipy import sparse

    rows: list[tuple[Any, Array | None, Activation]] = [
        (sparse.csr_array(s.kernel.T), None if s.bias is None else s.bias[:, None], ACTIVATIONS[s.activation])
        for s in steps
    ]

    def run(x: Array) -> Array:
        # Units are rows: a batch of one is a matrix of one column, where SciPy is quickest.
        y = np.ascontiguousarray(x.reshape(len(x), -1).T)
        for matrix, bias, activation in rows:
            y = matrix @ y
            if bias is not None:
                y += bias
            y = activation(y.T).T
        return np.ascontiguousarray(y.T)

    return run


def tf_sparse(steps: list[Step]) -> Callable[[Any], Any]:
    """The chain on TensorFlow's sparse matrix product, as a compiled function; inputs `(rows, in)`."""
    import keras
    import tensorflow as tf

    made = [
        (
            tf.sparse.from_dense(s.kernel.T),
            None if s.bias is None else tf.constant(s.bias[:, None]),
            keras.activations.get(s.activation),
        )
        for s in steps
    ]

    @tf.function
    def run(x: Any) -> Any:
        y = tf.transpose(tf.reshape(x, (tf.shape(x)[0], -1)))
        for matrix, bias, activation in made:
            y = tf.sparse.sparse_dense_matmul(matrix, y)
            if bias is not None:
                y += bias
            y = tf.transpose(activation(tf.transpose(y)))
        return tf.transpose(y)

    return run


def _in_a_row(model: keras.Model) -> list[keras.Layer]:
    graph: Any = getattr(model, "_functional", None) or model
    by_depth = getattr(graph, "_nodes_by_depth", None)
    if by_depth is None or any(len(nodes) != 1 for nodes in by_depth.values()):
        raise ModelError("its layers are not in a row")
    layers: list[keras.Layer] = []
    for depth in sorted(by_depth, reverse=True):
        layer = by_depth[depth][0].operation
        inner = hasattr(layer, "layers") and hasattr(layer, "get_layer")
        layers += _in_a_row(layer) if inner else [layer]
    return layers
