"""A live model as the rules see it: columns with BatchNorm folded in, which go together, which rows are dead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.errors import ModelError
from engine.layout import Array, Kernel, kernels
from engine.running.adaptive.rules import Columns
from engine.surgery.flow import FIXED
from engine.surgery.groups import Components
from engine.surgery.trace import Trace, functional
from engine.surgery.units import LayerUnits, layer_units, unit_masks
from engine.targets.column_norm import column_norms


class Network:
    """A model whose columns are watched; what does not change while it trains is looked up once.

    Attributes:
        model: the model.
        kernels: the watched kernels by variable key.
        units: by kernel key, the layer's units, for kernels whose columns are units that can go.
        dense: by kernel key, the weights that a layer had, where the model is physically smaller by now.
    """

    def __init__(self, model: Any, watched: Mapping[str, Kernel], *, dense: Mapping[str, int] | None = None) -> None:
        self.model, self.kernels, self.dense = model, dict(watched), dict(dense or {})
        self._norms = following_norms(model)
        try:
            known = layer_units(model)
        except ModelError:  # a graph that cannot be seen: single weights can go all the same
            known = {}
        self.units: dict[str, LayerUnits] = {}
        # A unit that is coupled with a column of a skipped layer stays.
        skipped = {k.layer_key for key, k in kernels(model).items() if key not in self.kernels}
        self._blocked = {int(g) for key in skipped if key in known for g in known[key].group}
        for key, kernel in self.kernels.items():
            found = known.get(kernel.layer_key)
            if found is None or found.units != kernel.units or not found.free.any():
                continue
            if type(kernel.layer).__name__.startswith("Separable") and kernel.variable.name == "depthwise_kernel":
                continue  # the layer's units are its pointwise columns
            self.units[key] = found

    def columns(self, masks: Mapping[str, Array]) -> dict[str, Columns]:
        """Every watched kernel as the rules see it."""
        matrices = {key: self._matrix(key) for key in self.kernels}
        kept = {
            key: np.ones(matrices[key].shape, dtype=bool) if key not in masks else kernel.layout.columns(masks[key])
            for key, kernel in self.kernels.items()
        }
        norms = {key: column_norms(matrices[key], kept[key]) for key in self.kernels}
        share = {key: _over_mean(norms[key], kept[key]) for key in self.kernels}
        largest: dict[int, dict[str, float]] = {}
        for key, layer in self.units.items():
            for group, value in zip(layer.group, share[key], strict=True):
                own = largest.setdefault(int(group), {})
                own[key] = max(own.get(key, 0.0), float(value))
        return {
            key: Columns(matrices[key], kept[key], norms[key], self._elsewhere(key, largest), self.dense.get(key))
            for key in self.kernels
        }

    def without_units(self, key: str, units: Array, masks: Mapping[str, Array]) -> dict[str, Array]:
        """The masks once these units of a kernel are gone, with all that is coupled to them."""
        keep = np.ones(self.units[key].units, dtype=bool)
        keep[units] = False
        new = unit_masks(self.model, {self.kernels[key].layer_key: keep})
        return {k: m & masks[k] if k in masks else m for k, m in new.items()}

    def without_weights(self, key: str, gone: Array, masks: Mapping[str, Array]) -> dict[str, Array]:
        """The masks once these weights, `(fan_in, units)`, of a kernel are gone."""
        kernel = self.kernels[key]
        flat = np.array(masks[key] if key in masks else np.ones(kernel.shape, dtype=bool)).reshape(-1)
        places = kernel.layout.columns(np.arange(flat.size).reshape(kernel.shape))
        flat[places[gone]] = False
        return {key: flat.reshape(kernel.shape)}

    def ones(self) -> dict[str, Array]:
        """Masks that keep everything, for all that the method may ever mask."""
        made = {key: np.ones(kernel.shape, dtype=bool) for key, kernel in self.kernels.items()}
        keep = {self.kernels[k].layer_key: np.ones(v.units, dtype=bool) for k, v in self.units.items()}
        made |= unit_masks(self.model, keep) if keep else {}
        every = kernels(self.model)
        return {k: m for k, m in made.items() if k in self.kernels or k not in every}

    def _matrix(self, key: str) -> Array:
        kernel = self.kernels[key]
        matrix: Array = kernel.layout.columns(np.asarray(kernel.variable.numpy(), dtype=np.float64))
        norm = self._norms.get(id(kernel.layer))
        return matrix if norm is None or norm.moving_variance.shape[0] != kernel.units else matrix * scale(norm)

    def _elsewhere(self, key: str, largest: Mapping[int, Mapping[str, float]]) -> Array:
        layer = self.units.get(key)
        if layer is None:
            return np.full(self.kernels[key].units, np.inf)
        values = [
            max((v for k, v in largest[int(g)].items() if k != key), default=0.0)
            if free and int(g) not in self._blocked
            else np.inf
            for g, free in zip(layer.group, layer.free, strict=True)
        ]
        return np.array(values)


def scale(norm: Any) -> Array:
    """What BatchNorm multiplies each channel with at inference: `|gamma| / sqrt(variance + eps)`."""
    variance = np.asarray(norm.moving_variance.numpy(), dtype=np.float64)
    gamma = np.ones(variance.shape) if norm.gamma is None else np.abs(np.asarray(norm.gamma.numpy(), dtype=np.float64))
    made: Array = gamma / np.sqrt(variance + norm.epsilon)
    return made


def following_norms(model: Any) -> dict[int, Any]:
    """The BatchNorm that directly follows a layer without activation and alone reads it, by the layer's id."""
    import keras

    graph = functional(model)
    if graph is None:
        return {}
    readers: dict[int, list[Any]] = {}
    makers: dict[int, Any] = {}
    for node in _nodes(graph):
        for tensor in node.input_tensors:
            maker = tensor._keras_history.operation
            makers[id(maker)] = maker
            readers.setdefault(id(maker), []).append(node.operation)
    return {
        number: found[0]
        for number, found in readers.items()
        if len(found) == 1
        and isinstance(found[0], keras.layers.BatchNormalization)
        and getattr(getattr(makers[number], "activation", None), "__name__", "linear") == "linear"
    }


def dead_rows(model: Any, masks: Mapping[str, Array]) -> dict[str, Array]:
    """Masks without the rows that read nothing but the zeros of units that are masked whole.

    Physical removal would take them; a mask that leaves them in would count weights that do nothing.

    Args:
        model: under the masks; where its graph cannot be seen, nothing is dead.
        masks: by variable key.

    Returns:
        The masks that change.
    """
    try:
        trace = Trace(model, constants=True)
    except ModelError:
        return {}
    keys, parts = trace.variable_keys(), Components(trace)
    masked, alive = np.zeros(parts.count, dtype=bool), np.zeros(parts.count, dtype=bool)
    for (number, axis), slot in trace.slots.items():
        if slot.role in {"column", "vector"}:
            mask = masks.get(keys.get(number, ""))
            stays = np.ones(len(slot.labels), dtype=bool) if mask is None else _any_along(mask, axis)
            component = parts.of[slot.labels]
            alive[component[stays]] = True
            masked[component[~stays]] = True
    gone = (masked & ~alive)[parts.of]
    zero, other = np.zeros(trace.count, dtype=bool), np.zeros(trace.count, dtype=bool)
    for sink in trace.sinks:
        const = np.full(len(sink.axis.labels), np.nan) if sink.axis.const is None else sink.axis.const
        zero[sink.axis.labels[const == 0]] = True
        other[sink.axis.labels[~(const == 0)]] = True
    dead = gone & zero & ~other
    dead[FIXED] = False
    changed: dict[str, Array] = {}
    for (number, axis), slot in trace.slots.items():
        key = keys.get(number, "")
        if slot.role == "row" and key in masks and dead[slot.labels].any():
            stays = ~dead[slot.labels]
            mask = changed.get(key, masks[key]) & stays.reshape(
                [-1 if a == axis else 1 for a in range(masks[key].ndim)]
            )
            if not np.array_equal(mask, masks[key]):
                changed[key] = mask
    return changed


def _any_along(mask: Array, axis: int) -> Array:
    return np.asarray(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis % mask.ndim)))


def _over_mean(norms: Array, mask: Array) -> Array:
    active = mask.any(axis=0)
    mean = norms[active].mean() if active.any() else 0.0
    return norms / mean if mean else np.zeros(norms.shape)


def _nodes(graph: Any) -> list[Any]:
    found: list[Any] = []
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            inner = None if node.is_input else functional(node.operation)
            found += _nodes(inner) if inner is not None else [] if node.is_input else [node]
    return found
