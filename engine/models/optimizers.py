"""Keras optimizers from a recipe's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from engine import catalog
from engine.errors import PruneError, near

# Keras' class for each name of the catalog.
CLASSES = {
    "adam": "Adam",
    "sgd": "SGD",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "muon": "Muon",
    "lion": "Lion",
    "lamb": "Lamb",
}


def make_optimizer(
    name: str, params: Mapping[str, Any] | None = None, *, rate: Any = None, mixed_precision: bool = False
) -> Any:
    """Builds an optimizer of the catalog.

    Args:
        name: the entry's name.
        params: its parameters; the others take the catalog's defaults.
        rate: a learning rate instead of the parameter's: a number or a `LearningRateSchedule`.
        mixed_precision: wrap it into a `LossScaleOptimizer`.

    Raises:
        UnknownName: no such optimizer.
        PruneError: it has no such parameter, or both kinds of clipping are asked for.
    """
    entry = catalog.get("optimizer", name)
    given = dict(params or {})
    known = [p.name for p in entry.params]
    for key in given:
        if key not in known:
            close = near(key, known)
            raise PruneError(
                f"optimizer {name} has no parameter {key!r}",
                todo=f"Did you mean {close[0]}?" if close else f"It has: {', '.join(known)}",
            )
    values = {p.name: given.get(p.name, p.default) for p in entry.params}
    if values["clipnorm"] is not None and values["global_clipnorm"] is not None:
        raise PruneError("clipnorm and global_clipnorm exclude each other", where=f"optimizer {name}", todo="Give one")
    if rate is not None:
        values["learning_rate"] = rate
    if name == "muon":
        # Its second decay is that of the variables it trains with AdamW; one number is asked for here.
        values["adam_weight_decay"] = values["weight_decay"]
    optimizer = getattr(keras.optimizers, CLASSES[name])(**values)
    return keras.optimizers.LossScaleOptimizer(optimizer) if mixed_precision else optimizer
