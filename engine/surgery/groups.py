"""Groups: the channels of several layers that can only go together."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.surgery.flow import FIXED, Array
from engine.surgery.trace import Slot, Trace

if TYPE_CHECKING:
    import keras

Member = tuple[str, int, Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Units that exist in several variables at once; unit i of the group is one row of every index map.

    Attributes:
        units: how many there are.
        members: `(variable key, axis, index map)`: removing unit i takes the indices `index map[i]` from that axis of
            that variable. An index map is an int array `(units, k)`: k is 1 but for Flatten blocks, gates and the like.
        roles: for each member, "column" (weights that make the unit), "vector" (bias, gamma, beta), "statistic" (moving
            mean and variance) or "row" (weights that read it).
        layers: the keys of the layers that make the units or carry them along, in the model's order.
        readers: the keys of the layers that only read them.
        stays: why none of the units can go, or "".
    """

    units: int
    members: tuple[Member, ...]
    roles: tuple[str, ...]
    layers: tuple[str, ...]
    readers: tuple[str, ...]
    stays: str = ""

    @property
    def words(self) -> str:
        """The group in one sentence, for people."""
        names = list(self.layers) or ["nothing with weights"]
        together = (
            f"{', '.join(names[:-1])} and {names[-1]} go together" if len(names) > 1 else f"{names[0]} goes alone"
        )
        return together + (f"; read by {', '.join(self.readers)}" if self.readers else "")


class Components:
    """The channels of a trace, joined where they must go together.

    Attributes:
        of: int array (labels,): the component of each label.
        pinned: bool array (components,): those that must stay.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        ones = [a for a, _ in trace.edges] or [np.zeros(0, np.int32)]
        others = [b for _, b in trace.edges] or [np.zeros(0, np.int32)]
        row, column = np.concatenate(ones), np.concatenate(others)
        links = coo_array((np.ones(len(row), np.int8), (row, column)), shape=(trace.count, trace.count))
        count, found = connected_components(links, directed=False)
        self.count = int(count)
        self.of: Array = found.astype(np.int64)
        self.pinned = np.zeros(self.count, bool)
        self.pinned[self.of[FIXED]] = True
        for pin in trace.pins:
            self.pinned[self.of[pin.labels]] = True

    def reason(self, component: int) -> str:
        """Why a component must stay, or ""."""
        for pin in self.trace.pins:
            if (self.of[pin.labels] == component).any():
                return pin.reason if pin.reason.startswith(pin.layer) else f"{pin.layer}: {pin.reason}"
        if component == self.of[FIXED]:
            return "these channels are the model's input, or come from an operation without a rule"
        return ""

    @cached_property
    def groups(self) -> list[Group]:
        """Every group, those that must stay included, in the order in which their first units are made."""
        slots = list(self.trace.slots.values())
        if not slots:
            return []
        lengths = [len(s.labels) for s in slots]
        slot = np.repeat(np.arange(len(slots)), lengths)
        component = self.of[np.concatenate([s.labels for s in slots])]
        index = np.concatenate([np.arange(n) for n in lengths])
        free = component != self.of[FIXED]
        slot, component, index = slot[free], component[free], index[free]
        # Units belong to one group when the same variables hold them, each as often. A sum of random numbers, one a
        # slot, tells those sets apart whatever the order.
        marks = np.random.default_rng(0).integers(1, 2**62, len(slots), dtype=np.uint64)
        signature = np.zeros(self.count, np.uint64)
        np.add.at(signature, component, marks[slot])
        used, first = np.unique(component, return_index=True)
        _, start, kind = np.unique(signature[used], return_index=True, return_inverse=True)
        seen = np.full(len(start), len(index))
        np.minimum.at(seen, kind, first)
        order = np.argsort(np.argsort(seen))
        group_of = np.full(self.count, -1)
        group_of[used] = order[kind]
        group = group_of[component]
        # by group, slot and component; the entries come slot by slot, so a stable sort of one number has little to do
        by = np.argsort((group * len(slots) + slot) * self.count + component, kind="stable")
        edges = np.flatnonzero(np.diff(group[by], prepend=-1) | np.diff(slot[by], prepend=-1))
        members: dict[int, list[tuple[Slot, Array]]] = {}
        units = np.bincount(group_of[used], minlength=len(start))
        sample = np.zeros(len(start), np.int64)
        sample[group_of[used]] = used
        for piece in np.split(by, edges[1:]):
            number = int(group[piece[0]])
            members.setdefault(number, []).append((slots[slot[piece[0]]], index[piece].reshape(int(units[number]), -1)))
        keys = self.trace.variable_keys()
        return [_group(keys, members[g], self, int(sample[g])) for g in sorted(members)]


def dependency_groups(model: keras.Model, *, everything: bool = False) -> list[Group]:
    """The groups of coupled units of a model.

    Args:
        model: a built Functional or Sequential model; nested models and shared layers are followed.
        everything: also those that must stay (the model's output, barriers); their `stays` says why.

    Raises:
        ModelError: the model has no graph that can be seen.
    """
    found = Components(Trace(model)).groups
    return [g for g in found if everything or not g.stays]


def _group(keys: dict[int, str], held: list[tuple[Slot, Array]], parts: Components, sample: int) -> Group:
    units = len(held[0][1])
    makers = list(dict.fromkeys(s.layer for s, _ in held if s.role != "row"))
    readers = list(dict.fromkeys(s.layer for s, _ in held if s.role == "row" and s.layer not in makers))
    return Group(
        units,
        tuple((keys.get(id(s.variable), s.variable.path), s.axis, index) for s, index in held),
        tuple(s.role for s, _ in held),
        tuple(makers),
        tuple(readers),
        parts.reason(sample) if parts.pinned[sample] else "",
    )
