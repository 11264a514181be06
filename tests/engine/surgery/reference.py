"""The reference: the original graph with the lost channels' activations masked, by a route of its own.

A mask tensor runs beside every activation. Layers that make channels start one from the units that are said to be lost;
layers that move channels are run on the mask itself; nothing here knows of labels, groups or index maps.
"""

from __future__ import annotations

import keras
import numpy as np

L = keras.layers
MAKERS = (L.Dense, L.Embedding, L.SeparableConv1D, L.SeparableConv2D)
CONVS = (L.Conv1D, L.Conv2D, L.Conv3D, L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose)
PADS = (L.ZeroPadding1D, L.ZeroPadding2D, L.ZeroPadding3D)
MOVERS = (
    L.Flatten, L.Reshape, L.Permute, L.Concatenate, L.RepeatVector, L.UpSampling1D, L.UpSampling2D,
    L.Cropping1D, L.Cropping2D, L.MaxPooling1D, L.MaxPooling2D, L.AveragePooling1D, L.AveragePooling2D,
    L.GlobalAveragePooling1D, L.GlobalAveragePooling2D, L.GlobalMaxPooling1D, L.GlobalMaxPooling2D,
    L.MaxPooling3D, L.GlobalAveragePooling3D,
)  # fmt: skip
MOVING_OPS = {
    "Reshape", "Transpose", "ExpandDims", "Squeeze", "Concatenate", "Split", "GetItem", "Swapaxes", "Moveaxis",
    "Repeat", "Tile", "Stack", "MaxPool", "AveragePool",
}  # fmt: skip


def masked_outputs(model, x, lost):
    """The model's outputs on x (a list of arrays) with the lost units' activations set to 0 wherever they go."""
    graph = getattr(model, "_functional", model)
    pairs = _walk(graph, [(np.asarray(a), np.ones(a.shape)) for a in x], lost)
    return [np.asarray(value) for value, _ in pairs]


def _walk(graph, given, lost):
    held = {id(t): pair for t, pair in zip(graph.inputs, given, strict=True)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input:
                continue
            values = {k: v[0] for k, v in held.items()}
            masks = {k: v[1] for k, v in held.items()}
            made = _apply(node, values, masks, lost)
            for tensor, pair in zip(node.outputs, made, strict=True):
                held[id(tensor)] = pair
    return [held[id(t)] for t in graph.outputs]


def _apply(node, values, masks, lost):
    op = node.operation
    inner = getattr(op, "_functional", op)
    if hasattr(inner, "_nodes_by_depth"):
        return _walk(inner, [(values[id(t)], masks[id(t)]) for t in node.input_tensors], lost)
    args, kwargs = node.arguments.fill_in(values)
    m_args, m_kwargs = node.arguments.fill_in(masks)
    mine = [masks[id(t)] for t in node.input_tensors]
    value = _special(op, args, kwargs, mine, lost)
    flat = [np.asarray(v) for v in keras.tree.flatten(op(*args, **kwargs) if value is None else value)]
    return [
        (v * m.astype(v.dtype), m) for v, m in zip(flat, _masks(op, flat, mine, m_args, m_kwargs, lost), strict=True)
    ]


def _special(op, args, kwargs, mine, lost):
    if isinstance(op, (L.LayerNormalization, L.RMSNormalization)):
        return _layer_norm(op, args[0], mine[0])
    if isinstance(op, L.GroupNormalization):
        return _group_norm(op, args[0], mine[0])
    if isinstance(op, (L.LSTM, L.GRU, L.SimpleRNN, L.Bidirectional, L.MultiHeadAttention)):
        return _with_weights(op, args, kwargs, lost.get(op.name, ()))
    return None


def _masks(op, made, mine, m_args, m_kwargs, lost):
    gone = np.asarray(lost.get(op.name, ()), int)
    name = type(op).__name__
    if isinstance(op, MAKERS):
        return [_unit_mask(made[0], -1, gone)]
    if isinstance(op, CONVS):
        return [_unit_mask(made[0], 1 if op.data_format == "channels_first" else -1, gone)]
    if isinstance(op, L.EinsumDense):
        _, rest = op.equation.split(",")
        kernel, out = rest.split("->")
        first = next(c for c in kernel if c not in op.equation.split(",")[0])
        mask = _unit_mask(made[0], out.index(first) - len(out), gone)
        for c in out.replace(".", ""):
            mask = mask * _unit_mask(made[0], out.index(c) - len(out), np.asarray(lost.get(f"{op.name}/{c}", ()), int))
        read = op.equation.split(",")[0]
        for i, c in enumerate(read):
            if c in out and c != "." and mine[0].shape[i - len(read)] > 1:
                axes = tuple(a for a in range(mine[0].ndim) if a != (i - len(read)) % mine[0].ndim)
                shape = [1] * mask.ndim
                shape[out.index(c) - len(out)] = -1
                mask = mask * mine[0].max(axes).reshape(shape)
        return [mask]
    if isinstance(op, (L.LSTM, L.GRU, L.SimpleRNN, L.Bidirectional)):
        return [_unit_mask(v, -1, gone) for v in made]
    if isinstance(op, L.MultiHeadAttention):
        return [_unit_mask(v, -1, np.asarray(lost.get(op.name + "/attention_output", ()), int)) for v in made]
    if isinstance(op, L.TimeDistributed):
        return [_unit_mask(made[0], -1, gone)] if isinstance(op.layer, (*MAKERS, *CONVS)) else mine
    if isinstance(op, (L.DepthwiseConv1D, L.DepthwiseConv2D)):
        at = 1 if op.data_format == "channels_first" else made[0].ndim - 1
        rest = tuple(a for a in range(mine[0].ndim) if a != at)
        mask = np.repeat(mine[0].max(rest), op.depth_multiplier)
        return [np.ones(made[0].shape) * mask.reshape([-1 if a == at else 1 for a in range(made[0].ndim)])]
    if isinstance(op, PADS) or name == "Pad":
        spatial = tuple(range(1, mine[0].ndim - 1))
        return [np.ones(made[0].shape) * mine[0].max(spatial, keepdims=True)]
    if isinstance(op, MOVERS) or name in MOVING_OPS:
        return [(np.asarray(v) > 0.5).astype("float64") for v in keras.tree.flatten(op(*m_args, **m_kwargs))]
    if name in {"Matmul", "Dot"}:
        moved = np.asarray(op(*m_args, **m_kwargs))
        return [(np.abs(moved) > 1e-6).astype("float64")]
    if name in {"Sum", "Mean", "Max"}:
        return [(np.asarray(v) > 0).astype("float64") for v in keras.tree.flatten(op(*m_args, **m_kwargs))]
    # whatever is left works element by element, with broadcasting
    mask = np.ones(made[0].shape)
    for m in mine:
        mask = mask * m
    return [mask] * len(made)


def _unit_mask(value, axis, gone):
    keep = np.ones(value.shape[axis])
    keep[gone] = 0
    shape = [1] * value.ndim
    shape[axis] = -1
    return np.ones(value.shape) * keep.reshape(shape)


def _layer_norm(op, x, mask):
    x = np.asarray(x)
    count = mask.sum(-1, keepdims=True)
    rms = isinstance(op, L.RMSNormalization)
    mean = 0.0 if rms else (x * mask).sum(-1, keepdims=True) / count
    variance = (((x - mean) ** 2) * mask).sum(-1, keepdims=True) / count
    y = (x - mean) / np.sqrt(variance + op.epsilon)
    scale = op.scale if rms else op.gamma
    if hasattr(scale, "numpy"):
        y = y * scale.numpy()
    beta = getattr(op, "beta", None)
    return (y if beta is None else y + beta.numpy()).astype(x.dtype)


def _group_norm(op, x, mask):
    x = np.asarray(x)
    channels = x.shape[-1]
    groups = channels if op.groups == -1 else op.groups
    y = np.zeros_like(x)
    for part in np.split(np.arange(channels), groups):
        kept = part[mask.reshape(-1, channels)[0, part] > 0]
        if len(kept) == 0:
            continue
        axes = tuple(range(1, x.ndim))
        z = x[..., kept]
        y[..., kept] = (z - z.mean(axes, keepdims=True)) / np.sqrt(z.var(axes, keepdims=True) + op.epsilon)
    return (y * op.gamma.numpy() + op.beta.numpy()).astype(x.dtype)


def _with_weights(op, args, kwargs, gone):
    """Runs a layer with what makes these units set to 0: a state that starts at 0 and stays there, a head unread."""
    gone = np.asarray(gone, int)
    saved = [w.numpy() for w in op.weights]
    try:
        if isinstance(op, L.MultiHeadAttention):
            kernel = op._output_dense.kernel
            value = kernel.numpy()
            value[gone] = 0
            kernel.assign(value)
        elif isinstance(op, L.Bidirectional):
            units = op.forward_layer.units
            _still(op.forward_layer.cell, gone[gone < units])
            back = gone[gone >= units] - units if op.merge_mode == "concat" else gone
            _still(op.backward_layer.cell, back)
        else:
            _still(op.cell, gone)
        made = op(*args, **kwargs)
        return keras.tree.map_structure(np.asarray, made)
    finally:
        for w, v in zip(op.weights, saved, strict=True):
            w.assign(v)


def _still(cell, gone):
    units = cell.units
    for variable in (cell.kernel, cell.recurrent_kernel, cell.bias):
        if variable is not None:
            value = variable.numpy()
            view = value.reshape(-1, value.shape[-1] // units, units)
            view[:, :, gone] = 0
            variable.assign(value)


def randomize(model, seed=0):
    """Weights of which none is 0 or 1 by construction: biases, gammas and statistics included."""
    rng = np.random.default_rng(seed)
    for w in model.weights:
        if w.dtype.startswith("float"):
            scale = 1.0 / np.sqrt(max(np.prod(w.shape[:-1]), 1)) if len(w.shape) > 1 else 0.5
            value = rng.normal(0, 1, w.shape) * scale
            if "variance" in w.name:
                value = rng.uniform(0.5, 1.5, w.shape)
            elif w.name in {"gamma", "scale"}:
                value = rng.uniform(0.5, 1.5, w.shape) * np.where(rng.random(w.shape) < 0.3, -1, 1)
            w.assign(value)
    return model


def difference(one, two):
    """The largest difference as a share of the largest value of the second."""
    return max(
        float(np.abs(np.asarray(a) - np.asarray(b)).max() / max(np.abs(np.asarray(b)).max(), 1e-30))
        for a, b in zip(one, two, strict=True)
    )
