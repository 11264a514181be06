"""How the weights and the column norms of each layer are spread: dense, and as they are now."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.events import Result
from engine.layout import Layout, kernels
from engine.running.context import Run

Array = np.ndarray[Any, Any]
BINS = 32


def tell(run: Run) -> None:
    """Sends the histograms of all layers; what is gone is not among the weights and columns of `after`."""
    dense = run.arrays.get("dense") or run.arrays.get("initial") or {}
    found: dict[str, Any] = {}
    for key, kernel in kernels(run.model).items():
        if key in dense:
            found[key] = spread(dense[key], np.asarray(kernel.variable.numpy()), kernel.layout)
    if found:
        run.say(Result(name="histograms", value=found))


def spread(before: Array, after: Array, layout: Layout) -> dict[str, Any]:
    """The two histograms of one kernel, before and after on the same edges.

    Args:
        before: the dense kernel.
        after: what it is now; it may be smaller.
        layout: how both are read.
    """
    weights = (before.reshape(-1), after[after != 0].reshape(-1))
    norms = tuple(np.linalg.norm(layout.columns(a), axis=0) for a in (before, after))
    return {"weights": _pair(*weights), "column norms": _pair(norms[0], norms[1][norms[1] > 0])}


def _pair(before: Array, after: Array) -> dict[str, list[float]]:
    values = np.concatenate([before, after])
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    counts = [np.histogram(side[np.isfinite(side)], bins=edges)[0].tolist() for side in (before, after)]
    return {"edges": edges.tolist(), "before": counts[0], "after": counts[1]}
