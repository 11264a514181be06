"""The arguments of `engine.Pruning` as one checked sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine import catalog, registry
from engine.choosing import check_params
from engine.errors import PruneError
from engine.granularity import NofM, parse
from engine.patterns import no_share_of_the_output
from engine.schedules.base import Schedule

SCHEDULES = ("one_shot", "at_init", "cubic", "iterative", "drop_grow")
TARGETS = ("sparsity", "pq_index", "flops", "size")


@dataclass(frozen=True)
class Sentence:
    """Score, pool, choose, when, until.

    Attributes:
        criterion: an instance.
        granularity: `weight`, `unit`, `block:4x1`, `2:4`.
        scope: a name.
        schedule: an instance.
        when: the schedule's name, or its class's where it is none of the catalog's.
        target: an instance.
        until: the target's name.
        chosen: parameters of granularity and scope, as `engine.choose` takes them.
    """

    criterion: Any
    granularity: str
    scope: str
    schedule: Any
    when: str
    target: Any
    until: str
    chosen: Mapping[str, Any]

    @property
    def by_units(self) -> bool:
        """Whether whole units go."""
        return self.granularity == "unit"


def sentence(
    criterion: Any,
    *,
    granularity: str,
    scope: str,
    schedule: Any,
    sparsity: float | None,
    target: Any,
    params: Mapping[str, Any],
) -> Sentence:
    """Checks the parts and hands each its parameters.

    Raises:
        UnknownName: a part is not in the catalog.
        PruneError: a parameter is unknown or out of range, or the parts do not go together.
    """
    pattern = parse(granularity)
    if isinstance(pattern, NofM):
        if target is not None:
            raise PruneError(f"{granularity} fixes the sparsity, so no target can be met", todo="Leave target out")
        sparsity = float(pattern.asked(sparsity))
        for share in (params.get("final", getattr(schedule, "final", None)), *params.get("per_layer", {}).values()):
            pattern.asked(share)
        no_share_of_the_output(
            pattern.n, pattern.m, params.get("output_share", getattr(schedule, "output_share", None))
        )
    if (sparsity is None) == (target is None):
        raise PruneError("how far to prune was not said once", todo="Give either sparsity=... or target=...")
    until, own = _target(target)
    if sparsity is not None:
        own["sparsity"] = sparsity
    grain = pattern.name
    entries = [catalog.get("granularity", grain), catalog.get("scope", scope), catalog.get("target", until)]
    entries += [catalog.get("criterion", criterion)] if isinstance(criterion, str) else []
    entries += [catalog.get("schedule", schedule)] if isinstance(schedule, str) else []
    check_params(params, *entries)
    _check_ranges({**params, **own}, entries)
    made = {e.kind: {k: v for k, v in params.items() if e.param(k)} for e in entries}
    when = schedule if isinstance(schedule, str) else _named(schedule)
    if isinstance(schedule, str) and schedule not in SCHEDULES:
        raise PruneError(
            f"schedule {schedule} is not for a fit of your own", todo="Run it from a recipe: prune-tui run"
        )
    if until not in TARGETS:
        raise PruneError(f"target {until} needs runs of its own to be met", todo="Run it from a recipe: prune-tui run")
    if until == "pq_index" and (when != "iterative" or grain != "weight"):
        raise PruneError("target pq_index prunes weights in rounds", todo="Use schedule='iterative'")
    if when == "drop_grow" and grain != "weight":
        raise PruneError("schedule drop_grow moves single weights", todo="Use granularity='weight'")
    built: Any = registry.make("schedule", schedule, made["schedule"]) if isinstance(schedule, str) else schedule
    if not isinstance(built, Schedule):
        raise PruneError(
            f"{when} is no schedule", todo="It needs events(total_steps) and sparsity(step, total_steps, final)"
        )
    control = getattr(built, "control", "none")
    if control != "none":
        raise PruneError(f"control {control} is not for a fit of your own", todo="Run it from a recipe")
    return Sentence(
        criterion=registry.make("criterion", criterion, made["criterion"]) if isinstance(criterion, str) else criterion,
        granularity=granularity,
        scope=scope,
        schedule=built,
        when=when,
        target=registry.make("target", until, {**made["target"], **own}) if not _is_part(target) else target,
        until=until,
        chosen={**made["granularity"], **made["scope"]},
    )


def _named(schedule: Any) -> str:
    known = (n for n in SCHEDULES if type(schedule) is registry.implementation("schedule", n))
    return next(known, type(schedule).__name__)


def _target(target: Any) -> tuple[str, dict[str, Any]]:
    if target is None:
        return "sparsity", {}
    if isinstance(target, str):
        return target, {}
    if isinstance(target, Mapping) and len(target) == 1:
        [(name, value)] = target.items()
        return str(name), {str(name): value}
    for name in catalog.entries("target"):
        if _is_part(target) and type(target) is registry.implementation("target", name):
            return name, {}
    raise PruneError(f"{target!r} is no target", todo="Give a name, or one in the form {'flops': 0.5}")


def _is_part(target: Any) -> bool:
    return target is not None and not isinstance(target, str | Mapping)


def _check_ranges(values: Mapping[str, Any], entries: list[catalog.Entry]) -> None:
    for entry in entries:
        for param in entry.params:
            value = values.get(param.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if (param.low is not None and value < param.low) or (param.high is not None and value > param.high):
                raise PruneError(
                    f"{param.name} is {value}, outside {param.low} to {param.high}", where=f"{entry.kind} {entry.name}"
                )
