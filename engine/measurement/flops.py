"""Floating-point operations and parameters, layer by layer: one rule an operation.

A multiplication with an addition counts as two, a bias, an activation or a sum as one an element, as `tf.profiler`
counts them (it leaves ReLU out). Everything is for one row of input; a size that is dynamic counts as 1, and the cost
says that it is not `exact`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import ModelError
from engine.keys import layer_keys, variable_keys

if TYPE_CHECKING:
    import keras

Shape = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one layer holds and computes.

    Attributes:
        params: numbers in its variables.
        flops: operations a row, all its calls together.
        products: by variable key, the part of `flops` that multiplies with this kernel: what zeros in it could save.
        exact: False where a dynamic size was counted as 1 or an operation has no rule.
    """

    params: int
    flops: int
    products: Mapping[str, int] = dataclasses.field(default_factory=dict)
    exact: bool = True


Part = tuple[Any, int]  # a kernel (None: no weights) and its operations
Count = Callable[[Any, list[Shape], list[Shape]], list[Part]]


def layer_costs(model: keras.Model) -> dict[str, Cost]:
    """The cost of every layer by its key; `keras.ops` in the graph count under their own names.

    Args:
        model: a built Functional or Sequential model.

    Raises:
        ModelError: the model has no graph that can be seen.
    """
    graph = _graph(model)
    if graph is None:
        raise ModelError(f"{model.name} is no Functional or Sequential model, so its FLOPs cannot be counted")
    spent: dict[int, list[Part]] = {}
    loose: set[int] = set()
    operations: dict[int, Any] = {}
    for node in _nodes(graph):
        operation = node.operation
        operations[id(operation)] = operation
        given: list[Shape] = [tuple(x.shape) for x in node.input_tensors]
        made: list[Shape] = [tuple(x.shape) for x in node.outputs]
        counting = _rule(operation)
        if counting is None or any(n is None for shape in (*given, *made) for n in shape[1:]):
            loose.add(id(operation))
        if counting is not None:
            spent.setdefault(id(operation), []).extend(counting(operation, given, made))
    variables = {id(v): key for key, v in variable_keys(model).items()}
    costs: dict[str, Cost] = {}
    for key, layer in layer_keys(model).items():
        costs[key] = _cost(layer, spent.pop(id(layer), []), variables, exact=id(layer) not in loose)
    for number, parts in spent.items():
        costs.setdefault(operations[number].name, _cost(None, parts, variables, exact=number not in loose))
    return costs


def count_flops(model: keras.Model) -> tuple[int, int]:
    """Operations for one row: through the dense shapes, and without the products with weights that are 0."""
    keyed = variable_keys(model)
    dense = effective = 0
    for cost in layer_costs(model).values():
        dense += cost.flops
        effective += cost.flops
        for key, products in cost.products.items():
            value = np.asarray(keyed[key])
            effective -= products - products * int(np.count_nonzero(value)) // max(value.size, 1)
    return dense, effective


def _cost(layer: Any, parts: list[Part], variables: dict[int, str], *, exact: bool) -> Cost:
    params = 0 if layer is None else sum(math.prod(v.shape) for v in layer.weights)
    products: dict[str, int] = {}
    for kernel, flops in parts:
        if kernel is not None and id(kernel) in variables:
            key = variables[id(kernel)]
            products[key] = products.get(key, 0) + flops
    return Cost(int(params), sum(f for _, f in parts), products, exact)


def _graph(model: Any) -> Any:
    graph = getattr(model, "_functional", model)
    return graph if hasattr(graph, "_nodes_by_depth") else None


def _nodes(graph: Any) -> list[Any]:
    found: list[Any] = []
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input:
                continue
            inner = _graph(node.operation)
            found += _nodes(inner) if inner is not None else [node]
    return found


def _size(shape: Shape) -> int:
    return math.prod(1 if n is None else int(n) for n in shape[1:])


def _bias(layer: Any, made: Shape) -> list[Part]:
    function = getattr(layer, "activation", None)
    active = function is not None and getattr(function, "__name__", "") != "linear"
    each = (getattr(layer, "bias", None) is not None) + (_per_activation(function) if active else 0)
    return [(None, each * _size(made))] if each else []


def _per_activation(function: Any) -> int:
    return 5 if "softmax" in getattr(function, "__name__", "") else 1


def _dense(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    return [(layer.kernel, 2 * _size(made[0]) * int(layer.kernel.shape[0])), *_bias(layer, made[0])]


def _convolution(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    # each output value sums over the kernel without its last axis
    return [(layer.kernel, 2 * _size(made[0]) * math.prod(layer.kernel.shape[:-1])), *_bias(layer, made[0])]


def _transposed(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    # each input value is multiplied with the kernel without its last axis
    return [(layer.kernel, 2 * _size(given[0]) * math.prod(layer.kernel.shape[:-1])), *_bias(layer, made[0])]


def _depthwise(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    return [(layer.kernel, 2 * _size(made[0]) * math.prod(layer.kernel.shape[:-2])), *_bias(layer, made[0])]


def _separable(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    deep, point = layer.depthwise_kernel, layer.pointwise_kernel
    positions = _size(made[0]) // int(point.shape[-1])
    channels = int(point.shape[-2])
    return [
        (deep, 2 * positions * channels * math.prod(deep.shape[:-2])),
        (point, 2 * positions * channels * int(point.shape[-1])),
        *_bias(layer, made[0]),
    ]


def _einsum_dense(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    inputs, rest = layer.equation.replace("...", "").split(",")
    kernel, output = rest.split("->")
    summed = math.prod(int(layer.kernel.shape[i]) for i, c in enumerate(kernel) if c in inputs and c not in output)
    return [(layer.kernel, 2 * _size(made[0]) * summed), *_bias(layer, made[0])]


def _attention(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    query, value = given[0], given[1] if len(given) > 1 else given[0]
    rows, columns = _size(query) // int(query[-1] or 1), _size(value) // int(value[-1] or 1)
    parts: list[Part] = []
    for name, count in (("query", rows), ("key", columns), ("value", columns), ("gate", rows), ("output", rows)):
        dense = getattr(layer, f"_{name}_dense", None)
        if dense is None:
            continue
        parts.append((dense.kernel, 2 * count * math.prod(dense.kernel.shape)))
        if dense.bias is not None:
            parts.append((None, count * math.prod(dense.bias.shape)))
    heads, width = (int(n) for n in layer._query_dense.kernel.shape[-2:])
    inner = int(layer._value_dense.kernel.shape[-1])
    return [*parts, (None, 2 * rows * columns * heads * (width + inner) + 5 * rows * columns * heads)]


def _dot_attention(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    query, value = given[0], given[1]
    pairs = _size(query[:-1]) * int(value[1] or 1)
    return [(None, pairs * (2 * int(query[-1] or 1) + 2 * int(value[-1] or 1) + 5))]


def _einsum(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    # for each value that is made, products over the letters that are summed
    read, written = layer.subscripts.replace(" ", "").replace("...", "").split("->")
    sizes: dict[str, int] = {}
    for letters, shape in zip(read.split(","), given, strict=False):
        sizes |= {c: int(n or 1) for c, n in zip(reversed(letters), reversed(shape), strict=False)}
    summed = math.prod(n for c, n in sizes.items() if c not in written)
    return [(None, len(read.split(",")) * _size(made[0]) * summed)]


def _recurrent(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    cell = layer.cell
    steps = int(given[0][1] or 1)
    parts: list[Part] = [(w, 2 * steps * math.prod(w.shape)) for w in (cell.kernel, cell.recurrent_kernel)]
    # gates: a sum of both products, a bias and an activation each; then the state's own update
    gates = int(cell.kernel.shape[-1])
    return [*parts, (None, steps * (3 * gates + 3 * int(cell.units)))]


def _bidirectional(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    return [*_recurrent(layer.forward_layer, given, made), *_recurrent(layer.backward_layer, given, made)]


def _distributed(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    inner = _rule(layer.layer)
    steps = int(given[0][1] or 1)
    if inner is None:
        return []
    once = inner(layer.layer, [(given[0][0], *given[0][2:])], [(made[0][0], *made[0][2:])])
    return [(kernel, steps * flops) for kernel, flops in once]


def _pool(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    return [(None, _size(made[0]) * math.prod(layer.pool_size))]


def _each(times: int) -> Count:
    def rule(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
        return [(None, times * sum(_size(s) for s in made))]

    return rule


def _whole(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    return [(None, _size(given[0]))]  # a mask that comes along costs nothing


def _merge(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    return [(None, max(len(given) - 1, 1) * _size(made[0]))]


def _activation(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    return [(None, _per_activation(layer.activation) * _size(made[0]))]


def _matmul(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    return [(None, 2 * _size(made[0]) * int(given[0][-1] or 1))]


def _batch_norm(layer: Any, given: list[Shape], made: list[Shape]) -> list[Part]:
    # in inference: one factor and one offset a channel, made once
    return [(None, 2 * _size(made[0]))]


def _many(names: str, rule: Count) -> dict[str, Count]:
    return dict.fromkeys(names.split(), rule)


_RULES: dict[str, Count] = {
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    **_many("Conv1D Conv2D Conv3D", _convolution),
    **_many("Conv1DTranspose Conv2DTranspose Conv3DTranspose", _transposed),
    **_many("DepthwiseConv1D DepthwiseConv2D", _depthwise),
    **_many("SeparableConv1D SeparableConv2D", _separable),
    **_many("MultiHeadAttention GroupedQueryAttention", _attention),
    "Attention": _dot_attention,
    "Einsum": _einsum,
    **_many("LSTM GRU SimpleRNN", _recurrent),
    "Bidirectional": _bidirectional,
    "TimeDistributed": _distributed,
    "BatchNormalization": _batch_norm,
    **_many("LayerNormalization GroupNormalization RMSNormalization UnitNormalization", _each(8)),
    **_many("Normalization Rescaling LayerScale CustomScaleLayer", _each(2)),
    **_many("MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D", _pool),
    **_many("GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D", _whole),
    **_many("GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D Mean Sum Max Min", _whole),
    **_many("Add Subtract Multiply Average Maximum Minimum Divide TrueDivide Power", _merge),
    **_many("Matmul Dot", _matmul),
    "Activation": _activation,
    **_many("Softmax LogSoftmax", _each(5)),
    **_many(
        "ReLU LeakyReLU PReLU ELU Relu Relu6 Sigmoid Silu Gelu Tanh Exp Log Sqrt Square HardSigmoid HardSilu", _each(1)
    ),
    **_many(
        "InputLayer Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D GaussianNoise GaussianDropout", _each(0)
    ),
    **_many(
        "AlphaDropout Identity ActivityRegularization Masking Embedding Flatten Reshape Permute RepeatVector", _each(0)
    ),
    **_many("Concatenate ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D Cropping2D Cropping3D", _each(0)),
    **_many(
        "UpSampling1D UpSampling2D UpSampling3D StochasticDepth Transpose ExpandDims Squeeze GetItem Split Stack",
        _each(0),
    ),
    **_many(
        "Softplus Softsign Mish Elu Selu Erf Abs Absolute Negative Sign Clip Log1p Expm1 Rsqrt Where Mod", _each(1)
    ),
    **_many("Greater GreaterEqual Less LessEqual Equal NotEqual LogicalAnd LogicalOr LogicalNot Cumsum", _each(1)),
    **_many("Swapaxes Moveaxis Repeat Tile Flip Roll Unstack Take Slice OnesLike ZerosLike Ravel", _each(0)),
    **_many("Cast Shape Resizing CenterCrop Pad Arange BroadcastTo", _each(0)),
}


def _rule(operation: Any) -> Count | None:
    for cls in type(operation).__mro__:
        if cls.__name__ in _RULES:
            return _RULES[cls.__name__]
    return None
