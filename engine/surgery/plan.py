"""From the units asked for to the channels that go: all that is coupled, nothing that must stay, no layer emptied."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from engine.errors import PruneError, UnknownName
from engine.surgery.flow import Array
from engine.surgery.groups import Components
from engine.surgery.trace import Trace


@dataclasses.dataclass(frozen=True)
class Skip:
    """Units that were asked for and stay.

    Attributes:
        layer: the layer's key.
        units: their numbers.
        reason: why, in words.
    """

    layer: str
    units: tuple[int, ...]
    reason: str


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What will go.

    Attributes:
        trace: the model's graph as the rules see it.
        parts: its channels, joined.
        keep: bool array (labels,): what stays.
        asked: how many units were asked for, as the layers number them.
        skipped: those that stay, with the reasons.
    """

    trace: Trace
    parts: Components
    keep: Array
    asked: int
    skipped: tuple[Skip, ...]

    def kept(self, labels: Array) -> Array:
        """Which of these channels stay."""
        found: Array = self.keep[labels]
        return found

    @property
    def removed(self) -> dict[str, tuple[int, ...]]:
        """The units that each layer loses; layers that lose none are left out."""
        lost = {key: np.flatnonzero(~self.keep[space.labels]) for key, space in self.trace.spaces.items()}
        return {key: tuple(int(u) for u in units) for key, units in lost.items() if len(units)}


def check_units(trace: Trace, units: Mapping[str, Iterable[int]], *, where: str = "remove_units") -> dict[str, Array]:
    """The asked units as sorted arrays without repeats.

    Args:
        trace: the model's graph.
        units: by layer key, the numbers of units.
        where: the function that was called, for messages.

    Raises:
        UnknownName: no layer of that key makes units.
        PruneError: a layer has no such unit, or what is given are no numbers of units.
    """
    if not isinstance(units, Mapping):
        raise PruneError(
            f"units are asked for by layer, not as {type(units).__name__}",
            where=where,
            todo='Give a mapping such as {"conv2": [0, 5, 7]}',
        )
    checked: dict[str, Array] = {}
    known = set(trace.layer_keys.values())
    for key, asked in units.items():
        numbers = _numbers(key, asked, where)
        space = trace.spaces.get(key)
        if space is None and key not in known:
            raise UnknownName("layer with units", key, trace.spaces, where=where)
        if space is not None and len(numbers) and not (numbers[0] >= 0 and numbers[-1] < len(space.labels)):
            raise PruneError(
                f"layer {key} has no unit {int(numbers[0] if numbers[0] < 0 else numbers[-1])}",
                where=where,
                todo=f"Its units are 0 to {len(space.labels) - 1}",
            )
        checked[key] = numbers
    return checked


def _numbers(key: str, asked: Any, where: str) -> Array:
    try:
        given = np.asarray([] if isinstance(asked, str) else list(asked))
        wrong = isinstance(asked, str)
    except (TypeError, ValueError):
        given, wrong = np.zeros(0), True
    if wrong or given.ndim != 1 or (len(given) and given.dtype.kind not in "iu"):
        mask = "; of a mask, take np.flatnonzero(mask)" if given.dtype == bool else ""
        raise PruneError(
            f"the units of layer {key} are asked for by whole numbers", where=where, todo=f"Give a list{mask}"
        )
    return np.unique(given.astype(np.int64))


def plan_removal(
    trace: Trace,
    units: Mapping[str, Array],
    *,
    minimum: int = 1,
    round_to: int = 1,
    priority: Array | None = None,
    barred: Mapping[int, str] | None = None,
) -> Plan:
    """Which channels go when these units are asked for.

    Args:
        trace: the model's graph.
        units: by layer key, as `check_units` returns them.
        minimum: how many units every layer keeps.
        round_to: every layer that loses units keeps a multiple of this many.
        priority: per component, higher stays first where units must be given back; without it the lowest number stays.
        barred: components that must stay for a reason of the caller's.
    """
    parts = Components(trace)
    goes = np.zeros(parts.count, bool)
    skipped: list[Skip] = []
    for key, numbers in units.items():
        if key not in trace.spaces:
            reason = trace.barriers.get(key, "it makes no units that can be removed")
            skipped.append(Skip(key, tuple(int(n) for n in numbers), reason))
            continue
        asked = parts.of[trace.spaces[key].labels[numbers]]
        stays = parts.pinned[asked] | np.isin(asked, list(barred or ()))
        goes[asked[~stays]] = True
        reasons: dict[str, list[int]] = {}
        for number, component in zip(numbers[stays], asked[stays], strict=True):
            text = (barred or {}).get(int(component)) or parts.reason(int(component))
            reasons.setdefault(text, []).append(int(number))
        skipped += [Skip(key, tuple(numbers), text) for text, numbers in reasons.items()]
    wanted = goes.copy()
    _give_back(trace, parts, goes, minimum=max(minimum, 1), round_to=max(round_to, 1), priority=priority)
    back = wanted & ~goes
    if back.any():
        why = f"every layer keeps at least {max(minimum, 1)} unit" + ("s" if minimum > 1 else "")
        why += f" and a multiple of {round_to}" if round_to > 1 else ""
        for key, numbers in units.items():
            if key in trace.spaces:
                left = numbers[back[parts.of[trace.spaces[key].labels[numbers]]]]
                if len(left):
                    skipped.append(Skip(key, tuple(int(n) for n in left), why))
    keep = ~goes[parts.of]
    return Plan(trace, parts, keep, sum(len(n) for n in units.values()), tuple(skipped))


def _give_back(
    trace: Trace, parts: Components, goes: Array, *, minimum: int, round_to: int, priority: Array | None
) -> None:
    spaces = [parts.of[s.labels] for s in trace.spaces.values()]
    others = [parts.of[labels] for labels in (*(s.labels for s in trace.slots.values()), *trace.floors)]
    # Giving units back only ever lets more stay, so this ends.
    changed = True
    while changed:
        before = int(goes.sum())
        for members in others:
            _restore(members, goes, 1, 1, priority)
        for members in spaces:
            _restore(members, goes, minimum, round_to, priority)
        changed = int(goes.sum()) != before


def _restore(members: Array, goes: Array, minimum: int, round_to: int, priority: Array | None) -> None:
    lost = goes[members]
    gone = int(lost.sum())
    if not gone:
        return
    n = len(members)
    left = n - gone
    if left >= min(minimum, n) and left % round_to == 0:
        return
    candidates: Sequence[int] = list(dict.fromkeys(int(c) for c in members[lost]))
    if priority is not None:
        candidates = sorted(candidates, key=lambda c: -float(priority[c]))
    for component in candidates:
        goes[component] = False
        left += int((members == component).sum())
        if left >= min(minimum, n) and left % round_to == 0:
            return
