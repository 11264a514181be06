"""Taking units out of a model: `remove_units`, `shrink`, and what they report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.surgery.compiled import carry_compiled
from engine.surgery.flow import Array
from engine.surgery.groups import Components
from engine.surgery.plan import Plan, Skip, check_units, plan_removal
from engine.surgery.rebuild import rebuild, take
from engine.surgery.report import Report, report_on
from engine.surgery.silent import silent
from engine.surgery.trace import Trace

if TYPE_CHECKING:
    import keras

Units = Mapping[str, Iterable[int]]


@dataclasses.dataclass(frozen=True, eq=False)
class Surgery:
    """A smaller model and what was done to make it.

    Attributes:
        model: the smaller model.
        report: what went, what stayed and why.
        part: `(variable of the old model, array of its shape) -> the part of the array that stays`: masks and optimizer
            slots go through it as the weights do.
    """

    model: keras.Model
    report: Report
    part: Callable[[Any, Array], Array]


def remove_units(model: keras.Model, units: Units, *, minimum: int = 1, round_to: int = 1) -> keras.Model:
    """The model without these units and all that is coupled to them.

    Layer names, inputs, outputs and the weights that stay are the old model's, and its compiled state too; the old
    model is not touched. What could not go is in the new model's `surgery.skipped`.

    Args:
        model: a built Functional or Sequential model.
        units: by layer key, the numbers of the units that go.
        minimum: how many units every layer keeps.
        round_to: layers that lose units keep a multiple of this many.

    Raises:
        UnknownName: there is no such layer.
        PruneError: a layer has no such unit.
        ModelError: the model's graph cannot be seen, or a layer cannot be made again.
    """
    return remove(model, units, minimum=minimum, round_to=round_to).model


def remove(model: keras.Model, units: Units, *, minimum: int = 1, round_to: int = 1) -> Surgery:
    """As `remove_units`, with the report beside the model."""
    return operate(planned(model, units, minimum=minimum, round_to=round_to))


def planned(
    model: keras.Model, units: Units, *, minimum: int = 1, round_to: int = 1, priority: Array | None = None
) -> Plan:
    """What `remove_units` would take; nothing is built."""
    trace = Trace(model)
    asked = check_units(trace, units)
    plan = plan_removal(trace, asked, minimum=minimum, round_to=round_to, priority=priority)
    # Grouped layers can lose whole groups or equal offsets in each: whichever the request says, which is the one that
    # reaches more of it, then the one that takes less besides.
    choice = dict(trace.grouped)
    trials = [{k: not v for k, v in choice.items()}, *({**choice, k: not v} for k, v in list(choice.items())[:16])]
    for trial in trials if choice else ():
        if _cost(plan, asked) == (0, 0):
            break
        other = plan_removal(Trace(model, whole=trial), asked, minimum=minimum, round_to=round_to)
        plan = min(plan, other, key=lambda p: _cost(p, asked))
    return plan


def shrink(model: keras.Model, *, minimum: int = 1, round_to: int = 1, exact: bool = True) -> keras.Model:
    """The model without its silent units: those that send the same to every reader, whatever the input.

    A unit is silent when its column, bias, gamma and beta are 0 (masked). Where it sends a constant other than 0
    (sigmoid(0), a bias alone, a BatchNorm's beta), the constant is added to its readers' biases, and the unit stays
    where that is not exact (`same` padding); `surgery.skipped` of the new model says so.

    Args:
        model: a built Functional or Sequential model.
        minimum: how many units every layer keeps.
        round_to: layers that lose units keep a multiple of this many.
        exact: False also takes silent units that LayerNorm and GroupNorm look at: their outputs then change, since they
            normalise over the units that are left.
    """
    return shrink_with_report(model, minimum=minimum, round_to=round_to, exact=exact).model


def shrink_with_report(model: keras.Model, *, minimum: int = 1, round_to: int = 1, exact: bool = True) -> Surgery:
    """As `shrink`, with the report beside the model."""
    trace = Trace(model, constants=True)
    parts = Components(trace)
    found = silent(trace, parts, exact=exact)
    units = {key: np.flatnonzero(found.quiet[parts.of[space.labels]]) for key, space in trace.spaces.items()}
    asked = {key: numbers for key, numbers in units.items() if len(numbers)}
    plan = plan_removal(trace, asked, minimum=minimum, round_to=round_to, barred=found.barred)
    return operate(plan, found.folds(plan))


def operate(plan: Plan, folds: Mapping[int, Array] | None = None) -> Surgery:
    """Carries out a plan; `folds` are constants to add to readers' biases."""
    new, pairs = rebuild(plan, folds)
    notes = carry_compiled(plan, new, pairs)
    report = report_on(plan, new, notes)
    object.__setattr__(new, "surgery", report)  # not a tracked attribute: the saved model knows nothing of it
    return Surgery(new, report, lambda variable, array: take(plan, variable, array))


def _cost(plan: Plan, asked: Mapping[str, Array]) -> tuple[int, int]:
    """How many asked units stay, and how many more than asked go in the layers that were asked."""
    removed = plan.removed
    missed = sum(len(s.units) for s in plan.skipped)
    gone = sum(len(removed.get(key, ())) for key in asked)
    return missed, gone - (plan.asked - missed)


__all__ = ["Skip", "Surgery", "planned", "remove", "remove_units", "shrink", "shrink_with_report"]
