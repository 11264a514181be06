"""Which weights stay: scores pooled to a granularity, chosen across a scope, exact in count."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import catalog, registry
from engine.errors import PruneError
from engine.granularity import Granularity, NofM, Weight, parse
from engine.layout import LAST, Array, Layout
from engine.scopes.base import Pieces
from engine.scopes.selecting import exact

if TYPE_CHECKING:
    from engine.scopes.base import Scope


def choose(
    scores: Mapping[str, Array],
    sparsity: float | Fraction | None = None,
    *,
    granularity: str | Granularity = "weight",
    scope: str | Scope = "global",
    layouts: Mapping[str, Layout] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    within: Mapping[str, Array] | None = None,
    gradual: bool = False,
    **params: Any,
) -> dict[str, Array]:
    """Masks of what stays.

    The count is exact, `keep = total - floor(sparsity * total)` pieces over the scope, in exact arithmetic (0.29 is
    29/100). Among equal scores those with the lower index stay, kernels in the order of their keys. n:m keeps its
    pattern whatever the scope, and fixes the sparsity: it may be left out.

    Args:
        scores: an array a kernel, higher = keep. At granularity unit also `(units,)`.
        sparsity: the share of pieces that goes, from 0 to 1; None: the one that n:m has, `1 - n/m`.
        granularity: `weight`, `unit`, `block:4x1`, `2:4`.
        scope: `layer`, `global`, `erk`, `lamp`, `neuron`.
        layouts: how to read the kernels' axes; None takes those that come with the scores of `engine.score`. Without
            one the last axis numbers the units.
        shapes: the kernels' shapes where scores are `(units,)`: ERK shares out by them.
        within: masks; what is False there is gone already, goes first, and never comes back.
        gradual: n:m on its way to the pattern: of what that cuts in a layer, the lowest go, up to any sparsity.
        **params: of the scope (`skip`, `per_layer`) and of the granularity (`pooling`).

    Returns:
        Bool arrays like the scores, True = keep.

    Raises:
        PruneError: a parameter is unknown or out of range, a score is not a number, or the sparsity is not said, or
            not the one that n:m has.
    """
    name = parse(granularity).name
    check_params(
        params, catalog.get("granularity", name), catalog.get("scope", scope if isinstance(scope, str) else "global")
    )
    grain = parse(granularity, _own(params, "granularity", name))
    chooser = _scope(scope, params)
    layouts = getattr(scores, "layouts", {}) if layouts is None else layouts
    arrays = {key: np.asarray(value) for key, value in scores.items()}
    if within is not None:
        arrays = {key: _without(a, np.asarray(within[key])) if key in within else a for key, a in arrays.items()}
    if isinstance(grain, NofM):
        masks = _patterns(grain, chooser, arrays, sparsity, layouts, gradual=gradual)
    else:
        if sparsity is None:
            raise PruneError("how far to prune was not said", todo="Give sparsity=..., a share from 0 to 1")
        pieces = {
            key: Pieces(
                grain.pool(a, layouts.get(key, LAST)),
                (shapes or {}).get(key) or a.shape,
                layouts.get(key, LAST) if isinstance(grain, Weight) else LAST,
            )
            for key, a in arrays.items()
        }
        kept = chooser.keep(pieces, sparsity)
        masks = {key: grain.expand(kept[key], a.shape, layouts.get(key, LAST)) for key, a in arrays.items()}
    if within is not None:
        masks = {key: m & np.asarray(within[key], dtype=bool) if key in within else m for key, m in masks.items()}
    return masks


def unknown_params(params: Mapping[str, Any], *entries: catalog.Entry) -> list[str]:
    """The names that none of these entries has as a parameter."""
    return [name for name in params if not any(e.param(name) for e in entries)]


def _scope(scope: str | Scope, params: Mapping[str, Any]) -> Scope:
    from engine.scopes.base import Scope

    if isinstance(scope, Scope):
        return scope
    made = registry.make("scope", scope, _own(params, "scope", scope))
    assert isinstance(made, Scope)
    return made


def _own(params: Mapping[str, Any], kind: catalog.Kind, name: str) -> dict[str, Any]:
    entry = catalog.get(kind, name)
    return {k: v for k, v in params.items() if entry.param(k)}


def _without(scores: Array, mask: Array) -> Array:
    return np.where(mask.astype(bool), scores, np.asarray(-np.inf, dtype=np.result_type(scores, np.float32)))


def _patterns(
    grain: NofM,
    chooser: Scope,
    arrays: Mapping[str, Array],
    sparsity: float | Fraction | None,
    layouts: Mapping[str, Layout],
    *,
    gradual: bool,
) -> dict[str, Array]:
    """n:m masks; the scope only says what stays whole: what it skips, and what is to lose nothing."""
    own = chooser.overrides(sorted(arrays))
    asked = exact(sparsity) if gradual and sparsity is not None else grain.asked(sparsity)
    masks: dict[str, Array] = {}
    for key, a in arrays.items():
        share = own.get(key, asked)
        if key in own and share is not None:
            share = grain.asked(share)
        masks[key] = grain.toward(a, layouts.get(key, LAST), share) if share else np.ones(a.shape, dtype=bool)
    return masks


def check_params(params: Mapping[str, Any], *entries: catalog.Entry) -> None:
    """Raises for a name that no part of the sentence knows.

    Raises:
        PruneError: with the parameters there are.
    """
    for name in unknown_params(params, *entries):
        known = [p.name for e in entries for p in e.params]
        raise PruneError(f"there is no parameter {name!r}", todo=f"There are: {', '.join(known) or 'none'}")
