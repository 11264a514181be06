"""`engine.score`: one number a weight, higher means keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from engine import registry
from engine.criteria.context import Arrays, Criterion
from engine.errors import ModelError, PruneError
from engine.layout import Layout
from engine.scoring.context import ModelContext, context


class Scores(dict[str, Any]):
    """Arrays by kernel key, like the kernels.

    Attributes:
        skipped: the kernels that got no score, and why.
        layouts: how each kernel's axes are to be read; `engine.choose` takes them from here.
    """

    def __init__(self, arrays: Arrays, skipped: dict[str, str], layouts: Mapping[str, Layout] | None = None) -> None:
        super().__init__(arrays)
        self.skipped, self.layouts = skipped, dict(layouts or {})


def score(
    model: keras.Model, criterion: Any, data: Any = None, *, loss: Any = None, seed: int = 0, **params: Any
) -> Scores:
    """Scores every prunable kernel of a model. The model, its weights and the random state stay as they are.

    Args:
        model: a Keras model; unbuilt ones are built from the data.
        criterion: its name in the catalog, or an instance.
        data: `(x, y)` arrays, a `tf.data.Dataset` of such pairs, or inputs alone where no labels are needed. All of it
            is used, and how it is split into batches does not matter (except to taylor, which averages over batches).
            Sample weights are not used.
        loss: a name, a function `(y, output)`, or a Keras loss. None: what the model is compiled with, else
            cross-entropy or squared error, as labels and output tell. Cross-entropies are taken on logits.
        seed: for criteria that draw.
        **params: the criterion's own.

    Returns:
        Scores by kernel key; `skipped` says which kernels got none, and why.

    Raises:
        PruneError: the criterion or a parameter is unknown, scores units only, or the data does not do.
    """
    return ask(criterion_of(criterion, params), context(model, data, loss=loss, seed=seed))


def ask(criterion: Criterion, scene: ModelContext) -> Scores:
    """The scores of one criterion in one context.

    Raises:
        ModelError: the model has no prunable kernel, or it cannot be called on this data.
    """
    if not scene.kernels:
        raise ModelError("the model has no kernel that could be pruned")
    try:
        layouts = {key: kernel.layout for key, kernel in scene.kernels.items()}
        return Scores(criterion.score(scene), scene.skipped, layouts)
    except (TypeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"the model could not be scored: {reason}", todo="Do data and loss fit the model?") from error


def criterion_of(criterion: Any, params: dict[str, Any]) -> Criterion:
    """A criterion that scores weights, from its name or an instance.

    Raises:
        PruneError: there is no such name or parameter, or it scores units only.
    """
    made = registry.make("criterion", criterion, params) if isinstance(criterion, str) else criterion
    if not isinstance(made, Criterion):
        name = criterion if isinstance(criterion, str) else type(criterion).__name__
        raise PruneError(
            f"criterion {name} scores units, not weights",
            todo="Use engine.score_units, or granularity unit",
        )
    return made
