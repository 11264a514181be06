"""How many units each group keeps: by a relative error, or within a budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.interpolation.folding import Folder
from engine.interpolation.pivoting import Pivots, pivots
from engine.interpolation.readers import Coupled, Couplings
from engine.interpolation.sizes import Budget, Costs, within

if TYPE_CHECKING:
    import keras


def by_error(epsilon: float | Mapping[str, float]) -> Callable[[Coupled, Pivots], int]:
    """The size of a group for one relative error, or for one a layer; layers that are not named keep all."""

    def decide(group: Coupled, found: Pivots) -> int:
        if not isinstance(epsilon, Mapping):
            return found.size(float(epsilon))
        named = [float(epsilon[layer]) for layer in group.group.layers if layer in epsilon]
        return found.size(min(named)) if named else found.units

    return decide


def by_budget(
    model: keras.Model, known: Couplings, folder: Folder, groups: Sequence[Coupled], *, what: Budget, share: float
) -> dict[int, int]:
    """The size of each group, from the errors on the whole net; checked by counting the model that they make."""
    from engine.surgery.removal import remove

    found = [pivots(folder.together(g)) for g in groups]
    folder.forget()
    costs = Costs(model, known, groups, what=what)
    aim, kept = share, np.array([p.units for p in found])
    for _ in range(6):
        kept = within(costs, found, aim)
        stays = np.ones(known.trace.count, bool)
        for group, pivot, k in zip(groups, found, kept, strict=True):
            gone = known.parts.of[group.labels[np.setdiff1d(np.arange(pivot.units), pivot.keep(int(k)))]]
            stays &= ~np.isin(known.parts.of, gone)
        spaces = known.trace.spaces.items()
        report = remove(model, {key: np.flatnonzero(~stays[space.labels]) for key, space in spaces}).report
        before, after = report.flops if what == "flops" else report.params
        if after <= share * before or (kept == 1).all():
            break
        aim *= share * before / after  # activations and sums are not in the estimate: aim a little lower
    return {id(g): int(k) for g, k in zip(groups, kept, strict=True)}
