"""A model's layers and counts as events tell them, from the masks it carries."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np

from engine.events import Counts, LayerState, Number
from engine.layout import Kernel

Array = np.ndarray[Any, Any]


def layer_states(
    kernels: Mapping[str, Kernel],
    masks: Mapping[str, Array],
    *,
    protected: Iterable[str] = (),
    numbers: Mapping[str, dict[str, Number]] | None = None,
) -> tuple[LayerState, ...]:
    """One row a prunable kernel.

    Args:
        kernels: of the model, as built (before any surgery).
        masks: by variable key; a kernel without one is whole.
        protected: variable keys that keep everything (the output layer at unit granularity, skipped layers).
        numbers: what a method adds, by variable key.
    """
    held, rows = set(protected), []
    for key, kernel in kernels.items():
        mask = masks.get(key)
        size = int(np.prod(kernel.shape))
        alive = kernel.units if mask is None else int(kernel.layout.columns(mask).any(axis=0).sum())
        rows.append(
            LayerState(
                key=key,
                shape=kernel.shape,
                weights=size,
                kept=size if mask is None else int(np.count_nonzero(mask)),
                units=kernel.units,
                units_kept=alive,
                protected=key in held,
                numbers=dict((numbers or {}).get(key, {})),
            )
        )
    return tuple(rows)


def shrunk_states(
    original: Iterable[LayerState],
    kernels: Mapping[str, Kernel],
    masks: Mapping[str, Array],
    numbers: Mapping[str, dict[str, Number]] | None = None,
) -> tuple[LayerState, ...]:
    """The rows of a model that is physically smaller than it was: the old sizes, and what is left of them."""
    now = {row.key: row for row in layer_states(kernels, masks, numbers=numbers)}
    rows = []
    for row in original:
        left = now.get(row.key)
        kept, units = (0, 0) if left is None else (left.kept, left.units_kept)
        told = row.numbers if left is None else left.numbers or row.numbers
        rows.append(msgspec.structs.replace(row, kept=kept, units_kept=units, numbers=told))
    return tuple(rows)


def counts_of(
    rows: Iterable[LayerState],
    *,
    parameters: tuple[int, int],
    masks: Mapping[str, Array],
    units: tuple[int, int] | None = None,
    skipped: Collection[str] = (),
) -> Counts:
    """The three denominators: prunable units, prunable weights, all parameters.

    Args:
        rows: of all prunable kernels.
        parameters: of the dense model, and of the model as it is (fewer once units are physically gone).
        masks: on the model as it is.
        units: (all, kept) where coupled units are counted once; None counts those of every row.
        skipped: keys of kernels that the scope keeps whole; their weights are not prunable.
    """
    rows = list(rows)
    gone = sum(int(m.size - np.count_nonzero(m)) for m in masks.values())
    free = [r for r in rows if not r.protected]
    every, kept = units or (sum(r.units for r in free), sum(r.units_kept for r in free))
    return Counts(
        units=every,
        units_kept=kept,
        weights=sum(r.weights for r in rows if r.key not in skipped),
        weights_kept=sum(r.kept for r in rows if r.key not in skipped),
        parameters=parameters[0],
        parameters_kept=parameters[1] - gone,
    )
