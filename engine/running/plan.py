"""From a recipe to the stages of a run. A stage is a name and a function; a run goes through them in order.

A stage may be entered again after a kill: what must happen once comes before its first epoch, and `run.done` tells how
many epochs of it are behind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from engine import catalog
from engine.errors import PruneError
from engine.recipe import Prune, Recipe
from engine.running import dense, finishing, gradual, once, repairing, rounds, sweeping
from engine.running.aims import rounds_of, target_sparsity
from engine.running.context import Run

BUDGETS = ("accuracy_drop", "size", "flops", "latency")


@dataclasses.dataclass(frozen=True)
class Stage:
    """One part of a run.

    Attributes:
        name: for the checkpoint and the log.
        act: does it.
        epochs: how many it is expected to train (the dense control's apart).
    """

    name: str
    act: Callable[[Run], None]
    epochs: int = 0


def plan(recipe: Recipe) -> list[Stage]:
    """The stages of a recipe.

    Raises:
        PruneError: the parts do not go together.
    """
    if recipe.sweep:
        count = len(sweeping.points(recipe))
        stages = [Stage(f"point {i + 1} of {count}", sweeping.point_of(i, count)) for i in range(count)]
        return [*stages, Stage("finish", sweeping.finish_sweep)]
    if recipe.prune is None:
        return [Stage("dense", dense.train_dense, recipe.train.epochs), Stage("finish", finishing.finish)]
    check(recipe.prune)
    if recipe.model.name == "file" and recipe.prune.schedule.get("control") == "reinitialise":
        raise PruneError(
            "a model from a file has no other initial weights than its own",
            where="prune.schedule.control",
            todo="Use control: shuffle, or a built-in model",
        )
    middle = _PLANS[recipe.prune.schedule.name](recipe)
    if recipe.prune.schedule.name == "one_shot" and recipe.prune.target.name == "accuracy_drop":
        return [*middle, Stage("finish", finishing.finish)]  # every trial of the search is repaired
    repairs = [
        Stage(f"repair {i + 1}: {part.name}", repairing.repair(part, i), part.get("epochs", 0))
        for i, part in enumerate(recipe.prune.repair)
    ]
    if recipe.prune.schedule.name == "dynamic" and repairs:
        from engine.running import adaptive

        repairs.append(Stage("hold", adaptive.hold))
    return [*middle, *repairs, Stage("finish", finishing.finish)]


def check(prune: Prune) -> None:
    """Refuses parts that do not go together before anything is trained for them.

    Raises:
        PruneError: says which, and what does.
    """
    schedule, target, kind = prune.schedule.name, prune.target, prune.granularity.name
    by_error = target.name == "epsilon" and kind == "unit" and schedule in ("one_shot", "at_init")
    searched = target.name in BUDGETS and schedule == "one_shot"
    if schedule in ("one_shot", "at_init", "cubic", "drop_grow") and not (by_error or searched):
        target_sparsity(target)
    if schedule == "drop_grow" and kind != "weight":
        raise PruneError(
            f"drop_grow moves single weights, so it cannot keep granularity {kind}",
            where="prune.granularity",
            todo="Use granularity: weight, or schedule: cubic",
        )
    if kind == "unit" and prune.schedule.get("control") == "shuffle":
        raise PruneError(
            "the control shuffle moves single weights, and units would no longer be whole",
            where="prune.schedule.control",
            todo="Use criterion: random as the control of units",
        )
    if any(part.name == "rewind" and part.get("step") for part in prune.repair):
        raise PruneError(
            "rewinding to a later step is part of the iterative schedule",
            where="prune.repair.rewind.step",
            todo="Use schedule: {name: iterative, rewind: early, rewind_to: ...}, or step: 0",
        )
    if schedule == "dynamic":
        return  # it scores by column norms, whatever else is written
    for part, entry in (("criterion", catalog.get("criterion", prune.criterion.name)),
                        ("scope", catalog.get("scope", prune.scope.name))):  # fmt: skip
        if entry.granularities and kind not in entry.granularities:
            raise PruneError(
                f"{part} {entry.name} does not go with granularity {kind}",
                where=f"prune.{part}",
                todo=f"It goes with {' and '.join(entry.granularities)}",
            )


def _dense(recipe: Recipe) -> Stage:
    return Stage("dense", dense.train_dense, recipe.train.epochs)


def _control(recipe: Recipe) -> list[Stage]:
    return [Stage("dense control", dense.train_control)] if recipe.measure.dense_control else []


def _one_shot(recipe: Recipe) -> list[Stage]:
    assert recipe.prune is not None
    if recipe.prune.target.name in BUDGETS:
        from engine.running import adaptive

        target = recipe.prune.target
        each = sum(part.get("epochs", 0) for part in recipe.prune.repair) if target.name == "accuracy_drop" else 0
        return [_dense(recipe), Stage("search", adaptive.search_budget, each * target.get("trials"))]
    return [_dense(recipe), Stage("prune", once.prune_once)]


def _sensitivity(recipe: Recipe) -> list[Stage]:
    from engine.running import adaptive

    return [_dense(recipe), Stage("sensitivity", adaptive.sense)]


def _at_init(recipe: Recipe) -> list[Stage]:
    return [*_control(recipe), Stage("train", once.prune_then_train, recipe.train.epochs)]


def _cubic(recipe: Recipe) -> list[Stage]:
    return [*_control(recipe), Stage("train", gradual.train_gradually, recipe.train.epochs)]


def _drop_grow(recipe: Recipe) -> list[Stage]:
    return [*_control(recipe), Stage("train", gradual.train_drop_grow, recipe.train.epochs)]


def _iterative(recipe: Recipe) -> list[Stage]:
    assert recipe.prune is not None
    schedule = recipe.prune.schedule
    epochs = schedule.get("epochs") or recipe.train.epochs
    if recipe.prune.target.name == "pq_index":
        return adaptive_rounds(recipe, epochs)
    count = rounds_of(schedule).count(target_sparsity(recipe.prune.target))
    stages = [Stage(f"round {i + 1} of {count}", rounds.round_of(i, count), epochs) for i in range(count)]
    return [_dense(recipe), *stages]


def adaptive_rounds(recipe: Recipe, epochs: int) -> list[Stage]:
    """SAP: as many rounds as the target says, each as large as the PQ Index allows."""
    assert recipe.prune is not None
    from engine.running import adaptive

    count = int(recipe.prune.target.get("rounds"))
    stages = [Stage(f"round {i + 1} of {count}", adaptive.sap_round(i, count), epochs) for i in range(count)]
    return [_dense(recipe), *stages]


def _dynamic(recipe: Recipe) -> list[Stage]:
    from engine.running import adaptive

    return [Stage("dynamic", adaptive.prune_dynamically, recipe.train.epochs)]


_PLANS: dict[str, Callable[[Recipe], list[Stage]]] = {
    "one_shot": _one_shot,
    "at_init": _at_init,
    "cubic": _cubic,
    "drop_grow": _drop_grow,
    "iterative": _iterative,
    "dynamic": _dynamic,
    "sensitivity": _sensitivity,
}


def planned_epochs(recipe: Recipe) -> int:
    """Epochs of a run, the dense control's not counted."""
    return sum(stage.epochs for stage in plan(recipe))
