"""The course of a learning rate as a function of the share of the phase that has passed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from engine import catalog

Course = Callable[[float, Mapping[str, Any]], float]


def course(name: str, params: Mapping[str, Any] | None = None, *, base: float = 1.0) -> Callable[[float], float]:
    """The learning rate over a phase.

    Args:
        name: the catalog's name.
        params: its parameters; the others take the catalog's defaults.
        base: the learning rate that the course scales.

    Returns:
        A function from the share of the phase, 0 at its first step and 1 at its last, to the learning rate.

    Raises:
        UnknownName: no such course.
    """
    entry = catalog.get("learning_rate", name)
    values = {p.name: (params or {}).get(p.name, p.default) for p in entry.params}
    factor, warmup = COURSES[name], float(values["warmup"])

    def rate(share: float) -> float:
        if share < warmup:
            return base * (0.01 + 0.99 * share / warmup)
        # What falls smoothly begins to fall after the warm-up; milestones are shares of the whole phase.
        rest = share if name == "step" else (share - warmup) / (1 - warmup)
        return base * factor(min(max(rest, 0.0), 1.0), values)

    return rate


def _cosine(t: float, p: Mapping[str, Any]) -> float:
    return float(p["final"] + (1 - p["final"]) * (1 + math.cos(math.pi * t)) / 2)


def _step(t: float, p: Mapping[str, Any]) -> float:
    return float(p["factor"] ** sum(t >= m for m in p["milestones"]))


COURSES: dict[str, Course] = {
    "constant": lambda t, p: 1.0,
    "cosine": _cosine,
    "linear": lambda t, p: float(1 + (p["final"] - 1) * t),
    "step": _step,
    "exponential": lambda t, p: float(p["final"] ** t),
}
