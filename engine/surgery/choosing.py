"""Which units stay: chosen across layers, coupled ones together."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

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
    owned: dict[str, list[int]] = {}
    seen: set[int] = set()
    for key, layer in units.items():
        if key not in scores:
            continue
        for number in np.flatnonzero(layer.free):
            group = int(layer.group[number])
            if group not in seen:
                seen.add(group)
                owned.setdefault(key, []).append(int(number))
    pool = {key: np.asarray(scores[key], np.float64)[numbers] for key, numbers in owned.items()}
    within = {key: np.asarray(before[key], bool)[owned[key]] for key in pool if before and key in before}
    params = dict(params or {})
    if params.get("skip"):
        # A layer that keeps its units anyway (it makes the output) may be named without being among the choices; a
        # pattern that names others, too, still holds for those.
        fixed = [key for key in units if key not in pool]
        params["skip"] = [
            p for p in params["skip"] if any(matches(k, p) for k in pool) or not any(matches(k, p) for k in fixed)
        ]
    whole = [key for key, numbers in owned.items() if len(numbers) == units[key].units]
    best = {
        key: int(np.argmax(np.where(within[key], pool[key], -np.inf) if key in within else pool[key])) for key in whole
    }
    chosen = choose(pool, sparsity, granularity="unit", scope=scope, within=within or None, **params)
    top = 1 + 2 * max((float(np.abs(scores).max()) for scores in pool.values()), default=0.0)
    held: set[str] = set()
    while empty := {key for key in whole if not chosen[key].any()} - held:
        held |= empty
        for key in empty:
            pool[key][best[key]] = top
        chosen = choose(pool, sparsity, granularity="unit", scope=scope, within=within or None, **params)
    gone: set[int] = set()
    for key, numbers in owned.items():
        stays = np.asarray(chosen[key], bool).copy()
        if key in best and not stays.any():
            stays[best[key]] = True
        gone |= {int(units[key].group[n]) for n, stay in zip(numbers, stays, strict=True) if not stay}
    return {key: ~np.isin(layer.group, list(gone)) for key, layer in units.items() if key in scores}
