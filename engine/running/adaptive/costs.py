"""What a pruned model costs, as a share of the dense one: size, FLOPs, or measured prediction time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.errors import ModelError
from engine.running.context import Run

REPEATS = 31
NOISE = 0.05
"""Measured times that differ by less are taken as equal."""


def of(run: Run, what: str, *, batch_size: int = 1) -> float:
    """The cost of the run's model as it stands.

    Where units are gone the physically smaller model counts, else what is not zero (for time: the model as it is).

    Args:
        run: with its model, its masks and the dense control.
        what: `size`, `flops` or `latency`.
        batch_size: examples a timed call.

    Raises:
        ModelError: FLOPs were asked for, and the model's graph cannot be seen.
    """
    model = _smaller(run)
    if what == "flops":
        from engine.measurement.flops import count_flops

        whole, _ = count_flops(run.dense)
        return count_flops(model)[1] / max(whole, 1)
    if what == "latency":
        return _time_share(model, run.dense, run.data.x_val[:batch_size])
    whole, now = _size(run.dense), _size(model)
    if model is not run.model:
        return now / whole
    gone = sum(int(m.size - np.count_nonzero(m)) for m in run.mask_arrays().values())
    return (now - gone) / whole


def _size(model: Any) -> int:
    return int(sum(math.prod(v.shape) for v in model.weights))


def _smaller(run: Run) -> Any:
    if not run.by_units or run.masks is None:
        return run.model
    from engine.surgery import shrink

    try:
        return shrink(run.model)
    except ModelError:
        return run.model


def _time_share(model: Any, dense: Any, x: Any) -> float:
    """The ratio of the shortest times, taken in turns: what the models can do when the machine is quiet."""
    from engine.measurement.measuring import timed_call
    from engine.measurement.timing import interleaved

    if model is dense:
        return 1.0
    taken = interleaved({"now": timed_call(model, x), "dense": timed_call(dense, x)}, repeats=REPEATS, seconds=0.3)
    return float(min(taken["now"]) / max(min(taken["dense"]), 1e-12))
