"""A unit's column: its weights, flattened."""

from __future__ import annotations

import numpy as np

from engine.criteria.context import Array, Context
from engine.layout import Kernel


def unit_columns(context: Context) -> dict[str, Array]:
    """Every kernel as `(fan_in, units)` in float64, by kernel key, under the context's masks.

    Attention's output projection reads the heads and makes the layer's width: its columns are those of the width, under
    `layer key/attention_output`.
    """
    found: dict[str, Array] = {}
    for key, w in context.weights().items():
        kernel, values = context.kernels[key], np.asarray(w, np.float64)
        if reads_heads(kernel):
            found[f"{kernel.layer_key}/attention_output"] = values.reshape(-1, values.shape[-1])
        else:
            found[key] = np.asarray(kernel.layout.columns(values))
    return found


def reads_heads(kernel: Kernel) -> bool:
    """True for attention's output projection `(heads, dim, out)`, whose units in `engine.layout` are the heads."""
    return kernel.layer.name == "attention_output" and len(kernel.shape) == 3 and kernel.layout.unit_axes == (0,)
