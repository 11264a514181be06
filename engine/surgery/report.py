"""What surgery did: layer by layer, in numbers and in words."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from engine.keys import layer_keys
from engine.measurement.flops import layer_costs
from engine.surgery.plan import Plan, Skip

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class LayerChange:
    """One layer before and after.

    Attributes:
        layer: its key.
        kind: its class.
        units_before, units_after: how many units it makes (0: it makes none of its own).
        params_before, params_after: how many numbers its variables hold.
        flops_before, flops_after: floating-point operations a sample, two for each multiplication with an addition.
    """

    layer: str
    kind: str
    units_before: int
    units_after: int
    params_before: int
    params_after: int
    flops_before: int
    flops_after: int


@dataclasses.dataclass(frozen=True)
class Report:
    """The whole of it.

    Attributes:
        asked: how many units were asked for, as the layers number them.
        removed: the units that each layer lost, coupled ones included.
        skipped: the units that were asked for and stayed, with the reasons.
        layers: every layer that has weights or units, in the model's order.
        groups: the coupled layers that lost units, a sentence each.
        notes: what else to know (optimizer slots that start anew).
    """

    asked: int
    removed: dict[str, tuple[int, ...]]
    skipped: tuple[Skip, ...]
    layers: tuple[LayerChange, ...]
    groups: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def reached(self) -> int:
        """How many of the asked units went."""
        return self.asked - sum(len(s.units) for s in self.skipped)

    @property
    def params(self) -> tuple[int, int]:
        """Numbers in all variables, before and after."""
        return sum(c.params_before for c in self.layers), sum(c.params_after for c in self.layers)

    @property
    def flops(self) -> tuple[int, int]:
        """Floating-point operations a sample, before and after."""
        return sum(c.flops_before for c in self.layers), sum(c.flops_after for c in self.layers)


def report_on(plan: Plan, new: keras.Model, notes: tuple[str, ...]) -> Report:
    """The report of a plan that was carried out."""
    before, after = layer_costs(plan.trace.model), layer_costs(new)
    removed = plan.removed
    changes = []
    for key, layer in layer_keys(plan.trace.model).items():
        old, left = before[key], after[key]
        space = plan.trace.spaces.get(key)
        units = 0 if space is None else len(space.labels)
        if old.params or old.flops or units:
            changes.append(
                LayerChange(
                    key,
                    type(layer).__name__,
                    units,
                    units - len(removed.get(key, ())),
                    old.params,
                    left.params,
                    old.flops,
                    left.flops,
                )
            )
    touched = set(removed)
    words = [g.words for g in plan.parts.groups if touched.intersection(g.layers) and len(g.layers) > 1 and not g.stays]
    return Report(plan.asked, removed, plan.skipped, tuple(changes), tuple(words), notes)
