"""A model's layers and counts as events tell them, from the masks it carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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


def counts_of(rows: Iterable[LayerState], *, parameters: int, masks: Mapping[str, Array]) -> Counts:
    """The three denominators: prunable units, prunable weights, all parameters."""
    rows = list(rows)
    gone = sum(int(m.size - np.count_nonzero(m)) for m in masks.values())
    units = [r for r in rows if not r.protected]
    return Counts(
        units=sum(r.units for r in units),
        units_kept=sum(r.units_kept for r in units),
        weights=sum(r.weights for r in rows),
        weights_kept=sum(r.kept for r in rows),
        parameters=parameters,
        parameters_kept=parameters - gone,
    )
