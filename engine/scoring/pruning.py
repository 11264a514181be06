"""`engine.prune`: score, choose, attach; in as many steps as the method takes. No training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from engine import catalog, registry
from engine.choosing import check_params, choose
from engine.errors import PruneError
from engine.granularity import NofM, Unit, parse
from engine.layout import Array
from engine.scopes.selecting import exact
from engine.scoring.context import ModelContext, context
from engine.scoring.scores import ask, criterion_of

if TYPE_CHECKING:
    from engine.masks import Masks


def prune(
    model: keras.Model,
    data: Any = None,
    *,
    criterion: Any = "magnitude",
    granularity: str = "weight",
    scope: str = "global",
    sparsity: float | None = None,
    iterations: int | None = None,
    loss: Any = None,
    seed: int = 0,
    **params: Any,
) -> Masks:
    """Prunes a model: scores it, chooses what stays, and holds the rest at zero from then on.

    Args:
        model: a Keras model; its weights are masked in place.
        data: what the criterion scores on, as in `engine.score`.
        criterion: its name or an instance.
        granularity: `weight`, `unit`, `block:4x1`, `2:4`.
        scope: `layer`, `global`, `erk`, `lamp`, `neuron`.
        sparsity: the share that goes; n:m fixes it, so there it may be left out.
        iterations: steps of density `rho^(t/T)`, each scored anew; None is the method's own (synflow 100, force and
            iterative_snip 60, all others 1).
        loss: as in `engine.score`.
        seed: for criteria that draw.
        **params: of the criterion, the scope (`skip`, `per_layer`) and the granularity (`pooling`).

    Returns:
        The live masks: `.arrays()`, `.update(masks)`, `.sparsity()`, `.detach()`, and `.skipped`, which says what could
        not be pruned and why.

    Raises:
        PruneError: a name or a parameter is unknown, or model or data do not do.
    """
    from engine.masks import attach

    grain = parse(granularity)
    share: float | Fraction | None = grain.asked(sparsity) if isinstance(grain, NofM) else sparsity
    if share is None:
        raise PruneError("how far to prune was not said", todo="Give sparsity=..., a share from 0 to 1")
    scene = context(model, data, loss=loss, seed=seed)
    found = find_masks(
        scene,
        criterion,
        share,
        granularity=granularity,
        scope=scope,
        iterations=iterations,
        params=params,
    )
    masks = attach(model, found)
    masks.skipped = {**scene.skipped, **_left_whole(scene, grain, found)}
    return masks


def find_masks(
    scene: ModelContext,
    criterion: Any,
    sparsity: float | Fraction,
    *,
    granularity: Any = "weight",
    scope: Any = "global",
    iterations: int | None = None,
    params: Mapping[str, Any] | None = None,
    within: Mapping[str, Array] | None = None,
    on_step: Callable[[int, int, Mapping[str, Array]], None] | None = None,
) -> dict[str, Array]:
    """The masks of `prune`, without attaching them.

    Args:
        scene: the model and the data.
        criterion: its name or an instance.
        sparsity: the share that goes; with n:m the share on the way to the pattern.
        granularity: a name or a granularity.
        scope: a name or a scope.
        iterations: None is the criterion's own.
        params: of criterion, scope and granularity.
        within: what is gone already and stays gone.
        on_step: told `(step, steps, masks)` after each step; it may raise to stop.
    """
    given = dict(params or {})
    own = catalog.get("criterion", criterion) if isinstance(criterion, str) else None
    grain = parse(granularity)
    entries = [catalog.get("granularity", grain.name)]
    entries += [catalog.get("scope", scope)] if isinstance(scope, str) else []
    check_params(given, *entries, *([own] if own else []))
    made = _made(criterion, {k: v for k, v in given.items() if own and own.param(k)}, by_unit=isinstance(grain, Unit))
    rest = {k: v for k, v in given.items() if any(e.param(k) for e in entries)}
    steps = int(getattr(made, "iterations", 1)) if iterations is None else _steps(iterations)
    layouts = {key: k.layout for key, k in scene.kernels.items()}
    masks, kept = dict(within or {}), None
    for step, share in enumerate(path(sparsity, steps), start=1):
        now = scene.under(masks)
        if isinstance(grain, Unit):
            masks, kept = _units(now, made, share, scope, {"group": grain.group, **rest}, kept)
        else:
            gone = within if getattr(made, "revives", False) else masks
            masks = choose(
                ask(made, now),
                share,
                granularity=granularity,
                scope=scope,
                layouts=layouts,
                within=gone or None,
                gradual=True,
                **rest,
            )
        if on_step is not None:
            on_step(step, steps, masks)
    return masks


def _left_whole(scene: ModelContext, grain: Any, masks: Mapping[str, Array]) -> dict[str, str]:
    """What this granularity cannot cut, and why."""
    if isinstance(grain, Unit):
        from engine.surgery import layer_units

        return {key: layer.stays for key, layer in layer_units(scene.model).items() if layer.stays}
    if isinstance(grain, NofM):
        whole = [key for key in masks if scene.kernels[key].layout.input_axis is None]
        return dict.fromkeys(whole, f"{grain.n}:{grain.m} groups inputs, and each of its outputs has one input channel")
    return {}


def _steps(iterations: Any) -> int:
    if isinstance(iterations, bool) or not isinstance(iterations, int | np.integer) or iterations < 1:
        raise PruneError(f"iterations must be a whole number from 1 on, got {iterations!r}")
    return int(iterations)


def _made(criterion: Any, params: dict[str, Any], *, by_unit: bool) -> Any:
    if by_unit:
        return registry.make("criterion", criterion, params) if isinstance(criterion, str) else criterion
    return criterion_of(criterion, params)


def _units(
    scene: ModelContext,
    criterion: Any,
    sparsity: Fraction,
    scope: Any,
    params: dict[str, Any],
    before: Mapping[str, Array] | None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Weight masks that silence units, and the units that stay by layer key."""
    from engine.scoring.units import columns
    from engine.surgery import kept_units, layer_units, pool_columns, unit_masks

    pool = params.pop("group")
    scores = pool_columns(scene.model, columns(criterion, scene), pool=pool)
    kept = kept_units(layer_units(scene.model), scores, sparsity, scope=scope, params=params, before=before)
    return unit_masks(scene.model, kept), kept


def path(sparsity: float | Fraction, steps: int) -> list[Fraction]:
    """The sparsity after each of `steps` steps: density `rho^(t/T)`; the last is exact."""
    target = exact(sparsity)
    density = float(1 - target)
    # In 13 digits, so that a rounding error does not cost a weight: 0.01^(1/2) is 0.1, not 0.1000000000000000055.
    return [*(1 - Fraction(f"{density ** (t / steps):.13g}") for t in range(1, steps)), target]


def collapsed(masks: Mapping[str, Array]) -> list[str]:
    """The kernels of which nothing is left: layer collapse."""
    return [key for key, mask in masks.items() if not np.any(mask)]
