"""Parameters, non-zeros, units and bytes of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.exporting.coding import coded_size
from engine.layout import kernels
from engine.measurement.values import Counts, LayerCount

if TYPE_CHECKING:
    import keras


def count(model: keras.Model) -> Counts:
    """What the model's weights are, in numbers and bytes.

    Args:
        model: a built model.
    """
    arrays = [np.asarray(w.numpy()) for w in model.weights]
    nonzero = [int(np.count_nonzero(a)) for a in arrays]
    layers = tuple(_layer_counts(model))
    return Counts(
        parameters=sum(a.size for a in arrays),
        nonzero=sum(nonzero),
        prunable=sum(row.weights for row in layers),
        prunable_nonzero=sum(row.nonzero for row in layers),
        units=sum(row.units for row in layers),
        units_alive=sum(row.units_alive for row in layers),
        bytes_raw=sum(a.nbytes for a in arrays),
        bytes_nonzero=sum(n * a.itemsize for n, a in zip(nonzero, arrays, strict=True)),
        bytes_compressed=sum(coded_size(a) for a in arrays),
        layers=layers,
    )


def _layer_counts(model: keras.Model) -> list[LayerCount]:
    rows = []
    for kernel in kernels(model).values():
        alive = kernel.variable.numpy() != 0
        rows.append(
            LayerCount(
                key=kernel.key,
                shape=kernel.shape,
                weights=int(alive.size),
                nonzero=int(np.count_nonzero(alive)),
                units=kernel.units,
                units_alive=int(np.count_nonzero(kernel.layout.columns(alive).any(axis=0))),
            )
        )
    return rows
