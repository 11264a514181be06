"""From scores to a smaller model in one call: what `prune-tui shrink` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import PruneError
from engine.scoring.units import score_units
from engine.surgery import Surgery, kept_units, layer_units
from engine.surgery.removal import operate, planned

if TYPE_CHECKING:
    import keras


def shrunk(
    model: keras.Model,
    data: Any = None,
    *,
    sparsity: float,
    criterion: Any = "l2_norm",
    scope: str = "layer",
    round_to: int = 1,
    interpolate: bool = False,
    seed: int = 0,
) -> Surgery:
    """Scores a model's units, chooses, and removes a share of them physically.

    Args:
        model: a built Functional or Sequential model; it is the same afterwards.
        data: `(x, y)`, for criteria that look at data, and for `interpolate`.
        sparsity: the share of the units that goes, of those that can.
        criterion: a unit criterion's name or instance.
        scope: `layer` or `global`.
        round_to: layers that lose units keep a multiple of this many.
        interpolate: fold what the removed units computed into the layers that read them (methods.md §5).
        seed: for criteria that draw.

    Returns:
        The smaller model and the report.

    Raises:
        PruneError: a name is unknown, or the data does not do.
        ModelError: the model's graph cannot be seen.
    """
    scores = score_units(model, criterion, data, seed=seed)
    kept = kept_units(layer_units(model), scores, sparsity, scope=scope)
    gone = {key: np.flatnonzero(~k) for key, k in kept.items() if not k.all()}
    plan = planned(model, gone, round_to=round_to)
    if not interpolate:
        return operate(plan)
    if data is None:
        raise PruneError("interpolation looks at inputs, and none were given", todo="Give data")
    from engine.interpolation.compressing import compress

    removed = plan.removed
    stays = {key: np.flatnonzero(~np.isin(np.arange(len(k)), removed.get(key, ()))) for key, k in kept.items()}
    inputs = data[0] if isinstance(data, tuple) else data
    smaller = compress(model, inputs, keep={k: v.tolist() for k, v in stays.items()}, agree_on=None).model
    done = operate(plan)
    done.model.set_weights(smaller.get_weights())
    return done
