"""Where sparse begins to win, and which way of pruning makes a layer fastest: found by measuring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import ModelError
from engine.exporting import litert
from engine.layout import kernels
from engine.measurement.contenders import RUNTIMES, one_blas_thread
from engine.measurement.cutting import cut
from engine.measurement.measuring import example_inputs
from engine.measurement.timing import Call, interleaved
from engine.measurement.values import Crossover, LayerChoice

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


def crossover(
    model: keras.Model,
    runtime: str = "scipy",
    *,
    against: str = "numpy",
    sparsities: Sequence[float] = SPARSITIES,
    block: int = 1,
    batch_size: int = 1,
    repeats: int = 15,
    seconds: float = 0.3,
) -> Crossover:
    """From which sparsity on `runtime` runs this model faster than `against` runs it dense.

    Args:
        model: a built model; its fully connected and convolution kernels are pruned by magnitude in a copy.
        runtime: a sparse one of `contenders.RUNTIMES`: `scipy`, `tensorflow_sparse`, `litert_sparse`.
        against: the dense one; sparsity makes no difference to it. Take one of the same house: `numpy` for `scipy`,
            `tensorflow` for `tensorflow_sparse`, `litert` for `litert_sparse`.
        sparsities: where to measure, ascending.
        block: how many weights along the inputs go together (`litert_sparse` gains from 4).
        batch_size: rows in a call.
        repeats: timed samples of each.
        seconds: budget of each.

    Raises:
        ModelError: when one of the two does not take the model.
    """
    import keras

    x = example_inputs(model, None, batch_size)
    dense = RUNTIMES[against](model, x)
    copy = keras.models.clone_model(model)
    points = []
    for sparsity in sorted(sparsities):
        copy.set_weights(model.get_weights())
        for kernel in kernels(copy).values():
            kernel.variable.assign(cut(kernel.variable.numpy(), sparsity, block=block))
        sparse = RUNTIMES[runtime](copy, x)
        calls: dict[str, Call] = {"dense": dense.run, "sparse": sparse.run}
        with one_blas_thread():
            samples = interleaved(calls, repeats=repeats, seconds=seconds)
        # Minima, not medians: a neighbour of the machine slows one call more than another, and never makes one faster.
        points.append((sparsity, min(samples["dense"]) / min(samples["sparse"])))
    return Crossover(
        runtime=runtime, against=against, batch_size=batch_size, sparsity=crossing(points), points=tuple(points)
    )


def crossing(points: Sequence[tuple[float, float]]) -> float | None:
    """The sparsity from which on every speed-up is at least 1, between two points in proportion to the logarithms.

    Args:
        points: `(sparsity, speed-up)`, ascending in sparsity.

    Returns:
        The sparsity, the first one where all win, None where the last one does not.
    """
    losing = [i for i, (_, ratio) in enumerate(points) if ratio < 1]
    if not losing:
        return points[0][0] if points else None
    last = losing[-1]
    if last == len(points) - 1:
        return None
    (low, below), (high, above) = points[last], points[last + 1]
    share = -math.log(below) / (math.log(above) - math.log(below))
    return low + share * (high - low)


def fastest_way(
    model: keras.Model, sparsity: float, *, rows: int = 1, repeats: int = 15, seconds: float = 0.2
) -> tuple[LayerChoice, ...]:
    """For each fully connected layer: is it faster with blocks of 4 cut, with units cut, or left dense?

    Each layer is timed alone in LiteRT, one thread, at that share of weights (or units) gone. What the next layer saves
    by cut units comes on top and is not counted.

    Args:
        model: a built model.
        sparsity: the share that goes, in [0, 1).
        rows: rows in a call.
        repeats: timed samples of each.
        seconds: budget of each.
    """
    import keras

    if not 0 <= sparsity < 1:
        raise ModelError(
            f"a sparsity of {sparsity} leaves nothing to time", todo="Take one from 0 up to, not including, 1"
        )
    found = []
    for kernel in kernels(model).values():
        if type(kernel.layer).__name__ != "Dense" or len(kernel.shape) != 2:
            continue
        weights = kernel.variable.numpy()
        kept = max(1, math.ceil(weights.shape[1] * (1 - sparsity)))
        ways: dict[str, tuple[Array, bool]] = {
            "dense": (weights, False),
            "block:4x1": (cut(weights, sparsity, block=4), True),
            "unit": (weights[:, :kept], False),
        }
        x = np.random.default_rng(0).standard_normal((rows, weights.shape[0])).astype("f4")
        calls: dict[str, Call] = {}
        for name, (array, sparse) in ways.items():
            alone = keras.Sequential(
                [keras.Input((array.shape[0],)), keras.layers.Dense(array.shape[1], use_bias=False)]
            )
            alone.layers[0].kernel.assign(array)
            run = litert.runner(litert.convert(alone, sparse=sparse), rows=rows)
            calls[name] = _bound(run, x)
        samples = interleaved(calls, repeats=repeats, seconds=seconds)
        times = {name: min(values) * 1e3 for name, values in samples.items()}
        best = min(times, key=lambda name: times[name])
        found.append(
            LayerChoice(
                key=kernel.key,
                shape=kernel.shape,
                sparsity=sparsity,
                milliseconds=times,
                best=best,
                speedup=times["dense"] / times[best],
            )
        )
    return tuple(found)


def _bound(run: Any, x: Array) -> Call:
    return lambda: run(x)
