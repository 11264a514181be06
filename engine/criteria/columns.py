"""A unit's column: its weights, flattened."""

from __future__ import annotations

import numpy as np

from engine.criteria.context import Array, Context


def unit_columns(context: Context) -> dict[str, Array]:
    """Every kernel as `(fan_in, units)` in float64, by kernel key, under the context's masks."""
    return {
        key: np.asarray(context.kernels[key].layout.columns(np.asarray(w, np.float64)))
        for key, w in context.weights().items()
    }
