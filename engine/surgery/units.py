"""Units seen from outside: how many each layer has, their scores pooled over groups, the masks that silence them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from engine.errors import PruneError, UnknownName
from engine.layout import kernels
from engine.surgery.flow import FIXED, Array
from engine.surgery.groups import Components
from engine.surgery.trace import Slot, Trace

if TYPE_CHECKING:
    import keras

Pooling = Literal["sum", "mean", "max"]


@dataclasses.dataclass(frozen=True, eq=False)
class LayerUnits:
    """The units of one layer.

    Attributes:
        units: how many there are.
        free: bool array `(units,)`: those that can be removed.
        group: int array `(units,)`: units with equal numbers, in whichever layers, can only go together.
        stays: why the others must stay, or "".
        shape: of the kernel that makes them, by which ERK shares out; () where none does.
    """

    units: int
    free: Array
    group: Array
    stays: str
    shape: tuple[int, ...] = ()


def layer_units(model: keras.Model) -> dict[str, LayerUnits]:
    """The units of every layer that has some, by layer key, in the model's order.

    Attention has two sets: its heads under the layer's key, its output width under `key/attention_output`.

    Raises:
        ModelError: the model has no graph that can be seen.
    """
    trace = Trace(model)
    parts = Components(trace)
    shapes: dict[str, tuple[int, ...]] = {}
    for slot in trace.slots.values():
        if slot.role == "column":
            shapes.setdefault(slot.layer, trace.shape(slot.variable))
    found: dict[str, LayerUnits] = {}
    for key, space in trace.spaces.items():
        group = parts.of[space.labels]
        stuck = parts.pinned[group]
        why = parts.reason(int(group[np.argmax(stuck)])) if stuck.any() else ""
        found[key] = LayerUnits(len(group), ~stuck, group, why, shapes.get(key.removesuffix("/attention_output"), ()))
    return found


def pool_columns(model: keras.Model, scores: Mapping[str, Array], *, pool: Pooling = "sum") -> dict[str, Array]:
    """Group scores from the scores of single columns (methods.md §9): all members of a group get the same.

    Args:
        model: a built Functional or Sequential model.
        scores: column scores `(units,)` by variable key (a kernel, in the units of `engine.layout`; a gamma) or by
            layer key. Only what is given is pooled: leave out what should not count.
        pool: over all columns of a group.

    Returns:
        By layer key, an array `(units,)`; layers in whose groups nothing was scored are left out.

    Raises:
        UnknownName: a key is neither a variable's nor a layer's with units.
        PruneError: an array has the wrong length.
    """
    trace = Trace(model)
    parts = Components(trace)
    variables = {key: number for number, key in trace.variable_keys().items()}
    slots: dict[int, Slot] = {}
    for (number, _), slot in trace.slots.items():
        if slot.role in {"column", "vector"} and (number not in slots or slots[number].role != "column"):
            slots[number] = slot
    start = -np.inf if pool == "max" else 0.0
    total = np.full(parts.count, start)
    count = np.zeros(parts.count, np.int64)
    for key, given in scores.items():
        if key in variables and variables[key] in slots:
            labels = slots[variables[key]].labels
        elif key in trace.spaces:
            labels = trace.spaces[key].labels
        elif key in variables:
            continue  # a layer without a rule: its units cannot go, and nothing waits for their score
        else:
            raise UnknownName("layer or variable with units", key, [*trace.spaces, *variables])
        values = np.asarray(given, np.float64)
        component = parts.of[_fit(labels, values, key)]
        if pool == "max":
            np.maximum.at(total, component, values)
        else:
            np.add.at(total, component, values)
        np.add.at(count, component, 1)
    if pool == "mean":
        total = total / np.maximum(count, 1)
    found: dict[str, Array] = {}
    for key, space in trace.spaces.items():
        component = parts.of[space.labels]
        if count[component].any():
            found[key] = np.where(count[component] > 0, total[component], 0.0)
    return found


def norm_scores(model: keras.Model, *, order: int = 2, pool: Pooling = "sum") -> dict[str, Array]:
    """The L1 or L2 norm of each unit's column, pooled over its group.

    Args:
        model: a built Functional or Sequential model.
        order: 1 or 2.
        pool: over the columns of a group.
    """
    return pool_columns(model, column_norms(model, order=order), pool=pool)


def column_norms(model: keras.Model, *, order: int = 2) -> dict[str, Array]:
    """The norm of every column `(units,)` by variable key; of attention's output width by `key/attention_output`.

    Attention's output projection makes that width; the heads it only reads.
    """
    norms: dict[str, Array] = {}
    for key, kernel in kernels(model).items():
        value = np.asarray(kernel.variable, np.float64)
        if kernel.layer.name == "attention_output" and kernel.layout.unit_axes == (0,):
            width = value.reshape(-1, value.shape[-1])
            norms[f"{kernel.layer_key}/attention_output"] = np.linalg.norm(width, ord=order, axis=0)
        else:
            norms[key] = np.linalg.norm(kernel.layout.columns(value), ord=order, axis=0)
    return norms


def unit_masks(model: keras.Model, kept: Mapping[str, Array]) -> dict[str, Array]:
    """Weight masks that silence units: kernel column, bias, gamma and beta together, in every layer of the group.

    Args:
        model: a built Functional or Sequential model.
        kept: by layer key, a bool array `(units,)`, True = keep. A unit goes when any layer of its group says so.

    Returns:
        By variable key, a bool array of the variable's shape, True = keep: for every variable whose units belong to the
        groups of the layers given, also where nothing of it goes.

    Raises:
        UnknownName: no layer of that key makes units.
        PruneError: an array has the wrong length.
    """
    trace = Trace(model)
    parts = Components(trace)
    touched = np.zeros(parts.count, bool)
    gone = np.zeros(parts.count, bool)
    for key, keep in kept.items():
        if key not in trace.spaces:
            raise UnknownName("layer with units", key, trace.spaces)
        labels = trace.spaces[key].labels
        if len(labels) != len(keep):
            raise PruneError(f"layer {key} has {len(labels)} units, and {len(keep)} values were given for it")
        component = parts.of[labels]
        touched[component] = True
        gone[component[~np.asarray(keep, bool)]] = True
    touched[parts.of[FIXED]] = gone[parts.of[FIXED]] = False
    keys = trace.variable_keys()
    masks: dict[str, Array] = {}
    for (number, axis), slot in trace.slots.items():
        component = parts.of[slot.labels]
        if slot.role not in {"column", "vector"} or number not in keys or not touched[component].any():
            continue
        shape = tuple(int(n) for n in slot.variable.shape)
        stays = ~gone[component]
        along = stays.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        mask = masks.setdefault(keys[number], np.ones(shape, bool))
        mask &= along
    return masks


def _fit(labels: Array, values: Array, key: str) -> Array:
    # A kernel's axis can hold a unit several times: gates lie side by side (u, u, ...), a depthwise channel's outputs
    # one after the other.
    n, m = len(values), len(labels)
    if n == m:
        return labels
    if m % max(n, 1) == 0 and n:
        return labels[:n]
    if n % m == 0:
        return np.repeat(labels, n // m)
    raise PruneError(f"{key} has {m} units, and {n} scores were given for it")
