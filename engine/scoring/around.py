"""What stands around a kernel in the graph, for criteria of units: its BatchNorm, its activation, what reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from engine.criteria.columns import reads_heads
from engine.criteria.context import Array, Arrays
from engine.criteria.unit_context import NormValues
from engine.keys import layer_keys, variable_keys
from engine.layout import parts
from engine.scoring.following import Following
from engine.surgery.groups import Components
from engine.surgery.trace import Trace

if TYPE_CHECKING:
    from engine.scoring.context import ModelContext


def scales(scene: ModelContext) -> Arrays:
    """|gamma| of every BatchNorm that has one, by the variable's key."""
    keys = {id(v): key for key, v in variable_keys(scene.model).items()}
    found: Arrays = {}
    for layer in layer_keys(scene.model).values():
        for norm in parts(layer):
            if isinstance(norm, keras.layers.BatchNormalization) and norm.gamma is not None:
                found[keys[id(norm.gamma)]] = np.abs(norm.gamma.numpy())
    return found


def norms(scene: ModelContext) -> dict[str, NormValues]:
    """By kernel key, the BatchNorm that directly follows its layer."""
    following, layers = Following(scene.model), layer_keys(scene.model)
    found: dict[str, NormValues] = {}
    for key, kernel in scene.kernels.items():
        norm = following.norm(layers[kernel.layer_key])
        if norm is None or tuple(norm.moving_variance.shape) != (kernel.units,):
            continue
        gamma = None if norm.gamma is None else norm.gamma.numpy()
        found[key] = NormValues(gamma, norm.moving_variance.numpy(), float(norm.epsilon))
    return found


def activations(scene: ModelContext, *, needed: bool) -> Iterator[Arrays]:
    """What units end in, `(rows, units)` by kernel key, a batch at a time."""
    following, layers = Following(scene.model), layer_keys(scene.model)
    names = {id(layer): key for key, layer in layers.items()}
    ends: dict[str, tuple[str, Any]] = {}  # the layer that is heard, and the operation that is applied to what it gives
    # A layer's units are heard once, whatever kernels make them: the last one (a separable layer's pointwise kernel).
    for key, kernel in {k.layer_key: (key, k) for key, k in scene.kernels.items()}.values():
        last, active = following.end(layers[kernel.layer_key])
        if needed and not active:
            scene.skip(key, "no activation follows it")
        elif id(last) in names:
            ends[key] = names[id(last)], None
        else:
            before = _maker(following, last, names)
            if before is None:
                scene.skip(key, f"its activation {last.name} is no layer and cannot be heard")
            else:
                ends[key] = before, last
    if not ends:
        return
    for heard in scene.outputs(list(dict.fromkeys(layer for layer, _ in ends.values()))):
        batch: Arrays = {}
        for key, (layer, operation) in list(ends.items()):
            made = heard.get(layer)
            rows = None if made is None else _rows(scene, key, made, layers[layer])
            if rows is None:
                scene.skip(key, "what its units end in has other channels than it has units")
                del ends[key]
            else:
                batch[key] = rows if operation is None else np.asarray(operation(rows))
        yield batch


def leaders(scene: ModelContext) -> list[str]:
    """Kernel keys that make every group of coupled units; a kernel whose units are all made already is left out."""
    trace = Trace(scene.model)
    components = Components(trace)
    seen = np.zeros(components.count, bool)
    found: list[str] = []
    for key, kernel in scene.kernels.items():
        space = trace.spaces.get(kernel.layer_key)
        if space is None:
            continue
        mine = components.of[space.labels]
        if len(mine) == kernel.units and not reads_heads(kernel) and not seen[mine].all():
            found.append(key)
            seen[mine] = True
    return found


def pivots(scene: ModelContext) -> Arrays:
    """The pivots of what each group's readers read, by layer key; a group comes once."""
    from engine.interpolation.folding import Folder
    from engine.interpolation.pivoting import pivots as pivoted
    from engine.interpolation.readers import couplings

    known = couplings(scene.model)
    for group in known.groups:
        if group.obstacle:
            for layer in group.group.layers:
                scene.skip(layer, group.obstacle)
    folder = Folder(scene.model, known, lambda: _inputs(scene), keep=np.ones(known.trace.count, bool))
    ratios = np.full(known.parts.count, np.nan)
    for group in known.groups:
        if group.obstacle:
            continue
        found = pivoted(folder.together(group))
        folder.forget()
        ratios[known.parts.of[group.labels[found.order]]] = found.ratios
    scores: Arrays = {}
    for key, space in known.trace.spaces.items():
        mine = known.parts.of[space.labels]
        if np.isfinite(ratios[mine]).all():
            scores[key] = ratios[mine]
            known_once = np.unique(mine)
            ratios[known_once] = np.nan
    return scores


def _inputs(scene: ModelContext) -> Iterable[Any]:
    for batch in scene._samples().batches:
        for chunk in batch.chunks():
            yield chunk.x


def _maker(following: Following, operation: Any, names: dict[int, str]) -> str | None:
    """The key of the layer that alone an operation reads, or None."""
    makers = [who for who, readers in following.readers.items() if any(r is operation for r in readers)]
    return names.get(makers[0]) if len(makers) == 1 else None


def _rows(scene: ModelContext, key: str, made: Array, layer: Any) -> Array | None:
    kernel = scene.kernels[key]
    first = getattr(kernel.layer, "data_format", None) == "channels_first"
    axis = 1 if first else made.ndim - 1
    if made.shape[axis] != kernel.units:
        return None
    return np.moveaxis(made, axis, -1).reshape(-1, kernel.units)
