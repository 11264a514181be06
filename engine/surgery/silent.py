"""Which units are silent, and what to do about the constants that they send."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np

from engine.surgery.flow import FIXED, Array
from engine.surgery.groups import Components
from engine.surgery.plan import Plan
from engine.surgery.trace import Sink, Trace


@dataclasses.dataclass(frozen=True, eq=False)
class Silent:
    """What `silent` found.

    Attributes:
        quiet: bool array (components,): all that makes these units is 0, or all that reads them reads a constant.
        barred: why some of them must stay, by component.
        sinks: the places that read channels.
    """

    quiet: Array
    barred: dict[int, str]
    sinks: tuple[Sink, ...]

    def folds(self, plan: Plan) -> dict[int, Array]:
        """What each reading layer's bias gains once the plan's channels are gone, by the layer's id."""
        gains: dict[int, Array] = {}
        for sink in self.sinks:
            if sink.fold is None or sink.axis.const is None:
                continue
            gone = ~plan.kept(sink.axis.labels)
            const = np.where(gone, np.nan_to_num(sink.axis.const, nan=0.0), 0.0)
            if const.any():
                gains[id(sink.operation)] = sink.fold(const)
        return gains


def silent(trace: Trace, parts: Components, *, exact: bool) -> Silent:
    """The components that can go without a trace, and those that seem so but cannot.

    Args:
        trace: a walk with constants.
        parts: its channels, joined.
        exact: whether readers that normalise over their channels keep silent ones in place.
    """
    spoilt = np.zeros(parts.count, bool)
    read = np.zeros(parts.count, bool)
    why: dict[int, str] = {}
    calls = Counter(id(sink.operation) for sink in trace.sinks)
    for sink in trace.sinks:
        labels = sink.axis.labels
        component = parts.of[labels]
        read[component] = True
        const = np.full(len(labels), np.nan) if sink.axis.const is None else sink.axis.const
        if sink.norm and not exact:
            continue
        fine = const == 0
        if sink.fold is not None and calls[id(sink.operation)] == 1:
            fine = ~np.isnan(const)
        moves = np.isnan(const) & (not sink.norm)
        for c in np.unique(component[~fine & ~moves]):
            why.setdefault(int(c), sink.why)
        for c in np.unique(component[~fine & moves]):
            why.setdefault(int(c), f"what reaches {sink.layer} from them is not known to be constant")
        spoilt[component[~fine]] = True
    made = _made_of_nothing(trace, parts)
    quiet = made | (read & ~spoilt)
    quiet[parts.of[FIXED]] = False
    quiet &= ~parts.pinned | made
    barred = {int(c): why[int(c)] for c in np.flatnonzero(quiet & spoilt) if not parts.pinned[c]}
    return Silent(quiet, barred, tuple(trace.sinks))


def _made_of_nothing(trace: Trace, parts: Components) -> Array:
    """The components of which every column is 0: what masks leave behind."""
    full = np.zeros(parts.count, bool)
    has = np.zeros(parts.count, bool)
    for slot in trace.slots.values():
        if slot.role == "column":
            component = parts.of[slot.labels]
            has[component] = True
            value = np.asarray(slot.variable)
            rest = tuple(a for a in range(value.ndim) if a != slot.axis)
            full[component[(value != 0).any(rest)]] = True
    return has & ~full
