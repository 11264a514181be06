"""How many units each group keeps within a budget: the layer that loses least for what it saves shrinks, step by step.

Chee et al. 2022, §4: while over the budget, take each layer's error at its next smaller size (0.95 of this one) over
the share of FLOPs (or size) that this would save, and shrink the one where that is least.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from engine.interpolation.gathering import Array
from engine.interpolation.pivoting import Pivots
from engine.interpolation.readers import Coupled, Couplings
from engine.measurement.flops import layer_costs

if TYPE_CHECKING:
    import keras

Budget = Literal["flops", "size"]


class Costs:
    """The cost of the net as a function of how many units its groups keep.

    Every product of a layer shrinks with both axes of its kernel, the rest of its cost with the units that it makes.
    What cannot be told apart (activations, sums) counts as in the whole net: `compress` counts the real model after.
    """

    def __init__(self, model: keras.Model, known: Couplings, groups: Sequence[Coupled], *, what: Budget) -> None:
        self.units = np.array([g.group.units for g in groups], float)
        slots = list(known.trace.slots.values())
        of = {int(c): i for i, g in enumerate(groups) for c in known.parts.of[g.labels]}
        self._share = np.zeros((len(slots) + 1, len(groups)))
        axes: dict[int, list[int]] = {}
        for row, slot in enumerate(slots):
            for component in known.parts.of[slot.labels]:
                if int(component) in of:
                    self._share[row, of[int(component)]] += 1 / len(slot.labels)
            axes.setdefault(id(slot.variable), []).append(row)
        self._fixed = 1 - self._share.sum(axis=1)
        nothing = len(slots)
        keys = {key: i for i, key in known.trace.variable_keys().items()}
        terms: list[tuple[float, int, int]] = []
        if what == "size":
            for variable in model.weights:
                rows = [*axes.get(id(variable), []), nothing, nothing]
                terms.append((float(np.prod(variable.shape)), rows[0], rows[1]))
        else:
            spaces = {slot.layer: row for row, slot in enumerate(slots) if slot.role in ("column", "vector")}
            for layer, cost in layer_costs(model).items():
                rest = float(cost.flops)
                for key, flops in cost.products.items():
                    rows = [*axes.get(keys.get(key, 0), []), nothing, nothing]
                    terms.append((float(flops), rows[0], rows[1]))
                    rest -= flops
                terms.append((rest, spaces.get(layer, nothing), nothing))
        self._cost = np.array([t[0] for t in terms])
        self._one = np.array([t[1] for t in terms], int)
        self._two = np.array([t[2] for t in terms], int)

    def of(self, kept: Array) -> float:
        """The cost when group i keeps `kept[i]` units."""
        left = self._fixed + self._share @ (kept / self.units)
        return float(np.sum(self._cost * left[self._one] * left[self._two]))


def within(costs: Costs, found: Sequence[Pivots], share: float, *, factor: float = 0.95, minimum: int = 1) -> Array:
    """How many units each group keeps so that the cost is at most `share` of the whole net's.

    Args:
        costs: what the sizes cost.
        found: the pivots of each group.
        share: of the cost, that may stay.
        factor: what a group shrinks by at a time.
        minimum: what a group keeps at least.

    Returns:
        int `(groups,)`; where even the smallest sizes cost more, those.
    """
    kept = np.array([p.units for p in found])
    least = np.minimum(kept, max(minimum, 1))
    whole = now = costs.of(kept)
    while now > share * whole:
        best, take = np.inf, -1
        for i, pivots in enumerate(found):
            smaller = next_size(int(kept[i]), factor=factor, minimum=int(least[i]))
            if smaller == kept[i]:
                continue
            trial = kept.copy()
            trial[i] = smaller
            saved = (now - costs.of(trial)) / whole
            price = float(pivots.residual[smaller]) / saved if saved > 0 else np.inf
            if price < best or take < 0:
                best, take = price, i
        if take < 0:
            break
        kept[take] = next_size(int(kept[take]), factor=factor, minimum=int(least[take]))
        now = costs.of(kept)
    return kept


def next_size(k: int, *, factor: float, minimum: int) -> int:
    """The next smaller size, at least one less, never below the minimum."""
    return max(min(int(k * factor), k - 1), min(minimum, k))
