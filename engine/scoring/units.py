"""`engine.score_units`: one number a unit, coupled units pooled; higher means keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import keras
import tensorflow as tf

from engine import registry
from engine.criteria.columns import reads_heads
from engine.criteria.context import Array, Arrays, Criterion, UnitCriterion
from engine.errors import ModelError, PruneError
from engine.granularity import Unit
from engine.layout import Kernel, kernels
from engine.scoring.context import ModelContext, context
from engine.scoring.scores import Scores
from engine.surgery.units import Pooling, pool_columns

POOLS = ("sum", "mean", "max")
Normalizing = Literal["mean", "max"]


def score_units(
    model: keras.Model,
    criterion: Any,
    data: Any = None,
    *,
    loss: Any = None,
    seed: int = 0,
    pool: Pooling | None = "sum",
    normalize: Normalizing | None = None,
    **params: Any,
) -> Scores:
    """Scores the units of every layer; units that can only go together get the same score (methods.md §9).

    A unit criterion scores each column by itself, and a group's score is the sum (or mean, or max) over its producers'
    columns; consumers' rows are not counted. A criterion of single weights is summed over the column first.

    Args:
        model: a built Functional or Sequential model; nothing in it changes.
        criterion: its name in the catalog, or an instance.
        data: what the criterion scores on, as in `engine.score`: inputs alone do where no labels are needed.
        loss: as in `engine.score`.
        seed: for criteria that draw.
        pool: `sum`, `mean` or `max` over a group; None gives the criterion's own numbers, by the key of a kernel
            (of a gamma: bn_scale; of a layer: interpolative).
        normalize: `mean` or `max` divides a layer's scores by their mean or largest, so that layers of different scale
            compare under one threshold for the whole network.
        **params: the criterion's own.

    Returns:
        By layer key, an array `(units,)`; `skipped` says which kernels or layers got no score, and why.

    Raises:
        PruneError: the criterion, a parameter or `pool` is unknown, or the data does not do.
        ModelError: the model has no graph that can be seen, or it cannot be called on this data.
    """
    if pool is not None and pool not in POOLS:
        raise PruneError(f"pool must be one of {', '.join(POOLS)}, got {pool!r}", where="score_units")
    if normalize not in (None, "mean", "max"):
        raise PruneError(f"normalize must be mean or max, got {normalize!r}", where="score_units")
    made = registry.make("criterion", criterion, params) if isinstance(criterion, str) else criterion
    scene = context(model, data, loss=loss, seed=seed)
    if not scene.kernels:
        raise ModelError("the model has no kernel that could be pruned")
    try:
        own = columns(made, scene)
    except (TypeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"the model could not be scored: {reason}", todo="Do data and loss fit the model?") from error
    pooled = own if pool is None else pool_columns(model, own, pool=pool)
    return Scores({key: _normalized(s, normalize) for key, s in pooled.items()}, scene.skipped)


def _normalized(scores: Array, how: Normalizing | None) -> Array:
    scale = 0.0 if how is None or not len(scores) else float(scores.mean() if how == "mean" else scores.max())
    return scores / scale if scale > 0 else scores


def columns(criterion: Any, scene: ModelContext) -> Arrays:
    """The criterion's score of every column by itself.

    Raises:
        PruneError: it scores neither units nor weights.
    """
    if isinstance(criterion, UnitCriterion):
        found = criterion.units(scene)
        # Attention's output projection reads the heads: rows of a consumer are not counted.
        return {key: s for key, s in found.items() if key not in scene.kernels or not reads_heads(scene.kernels[key])}
    if isinstance(criterion, Criterion):
        return _summed(criterion.score(scene), scene.kernels)
    raise PruneError(f"{type(criterion).__name__} is no criterion", todo="Give a name of the catalog or an instance")


def units_of_weights(model: keras.Model, weights: Arrays, *, pool: Pooling = "sum") -> Arrays:
    """Scores of single weights, by variable key, as scores of units: summed over the column, then over the group.

    Args:
        model: a built Functional or Sequential model.
        weights: arrays of the kernels' shapes.
        pool: `sum`, `mean` or `max` over a group.
    """
    return pool_columns(model, _summed(weights, kernels(model)), pool=pool)


def _summed(weights: Arrays, known: Mapping[str, Kernel]) -> dict[str, Array]:
    unit = Unit()
    kept = {key: s for key, s in weights.items() if not reads_heads(known[key])}
    return {key: unit.pool(s, known[key].layout) for key, s in kept.items()}
