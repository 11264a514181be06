"""Which units stay: chosen across layers, coupled ones together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from engine import registry
from engine.choosing import choose
from engine.scopes.base import matches
from engine.surgery.flow import Array
from engine.surgery.units import LayerUnits


def kept_units(
    units: Mapping[str, LayerUnits],
    scores: Mapping[str, Array],
    sparsity: float | Fraction,
    *,
    scope: str = "layer",
    params: Mapping[str, Any] | None = None,
    before: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """Which units stay, by layer key; units that are coupled count once, for the first layer that makes them.

    A layer keeps at least its best unit: without it nothing would pass. Another goes in its place, so that the count
    is exact, `total - floor(sparsity * total)`, unless there are more layers than units to keep.

    Args:
        units: of every layer.
        scores: of the same layers, higher = keep; a layer without stays whole.
        sparsity: the share of the units that can go.
        scope: over which units the choice is made.
        params: of the scope.
        before: what is left already; what is gone stays gone.
    """
    owned = _owned({key: layer for key, layer in units.items() if key in scores})
    pool = {key: np.asarray(scores[key], np.float64)[numbers] for key, numbers in owned.items()}
    within = {key: np.asarray(before[key], bool)[owned[key]] for key in pool if before and key in before}
    params = _for_those(pool, units, params or {})
    whole = [key for key, numbers in owned.items() if len(numbers) == units[key].units]
    best = {
        key: int(np.argmax(np.where(within[key], pool[key], -np.inf) if key in within else pool[key])) for key in whole
    }
    how = {"granularity": "unit", "scope": scope, "shapes": {key: units[key].shape for key in pool}, **params}
    chosen = choose(pool, sparsity, within=within or None, **how)
    top = 1 + 2 * max((float(np.abs(scores).max()) for scores in pool.values()), default=0.0)
    held: set[str] = set()
    while empty := {key for key in whole if not chosen[key].any()} - held:
        held |= empty
        for key in empty:
            pool[key][best[key]] = top
        chosen = choose(pool, sparsity, within=within or None, **how)
    gone: set[int] = set()
    for key, numbers in owned.items():
        stays = np.asarray(chosen[key], bool).copy()
        if key in best and not stays.any():
            stays[best[key]] = True
        gone |= {int(units[key].group[n]) for n, stay in zip(numbers, stays, strict=True) if not stay}
    return {key: ~np.isin(layer.group, list(gone)) for key, layer in units.items() if key in scores}


def count_units(
    units: Mapping[str, LayerUnits], kept: Mapping[str, Array], *, excepted: Collection[str] = ()
) -> tuple[int, int]:
    """How many units can go in all, and how many of them are left; coupled ones count once, as in `kept_units`.

    Args:
        units: of the layers that count.
        kept: by layer key, what is left; a layer without is whole.
        excepted: keys of layers whose units do not count.
    """
    ours = {int(units[key].group[n]) for key, ns in _owned(units).items() if key not in excepted for n in ns}
    gone = {int(group) for key, keep in kept.items() if key in units for group in units[key].group[~keep]}
    return len(ours), len(ours - gone)


def aimed_units(
    units: Mapping[str, LayerUnits], kept: Mapping[str, Array], *, scope: str, params: Mapping[str, Any]
) -> tuple[int, int]:
    """As `count_units`, of the units that a target is a share of: layers with a share of their own do not count.

    Args:
        units: of the layers that have scores.
        kept: by layer key, what is left; a layer without is whole.
        scope: over which units the choice is made.
        params: of the scope.
    """
    choices = sorted(_owned(units))
    excepted = registry.make("scope", scope, _for_those(choices, units, params)).overrides(choices)
    return count_units(units, kept, excepted=excepted)


def _owned(units: Mapping[str, LayerUnits]) -> dict[str, list[int]]:
    """The numbers of the units that can go, each under the first layer that makes its group."""
    owned: dict[str, list[int]] = {}
    seen: set[int] = set()
    for key, layer in units.items():
        for number in np.flatnonzero(layer.free):
            group = int(layer.group[number])
            if group not in seen:
                seen.add(group)
                owned.setdefault(key, []).append(int(number))
    return owned


def _for_those(choices: Collection[str], units: Collection[str], params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a scope over these layers.

    A layer that keeps its units anyway (it makes the output) may be named in `skip` without being among the choices; a
    pattern that names others, too, still holds for those.
    """
    if not params.get("skip"):
        return dict(params)
    fixed = [key for key in units if key not in choices]
    useful = [p for p in params["skip"] if any(matches(k, p) for k in choices) or not any(matches(k, p) for k in fixed)]
    return {**params, "skip": useful}
