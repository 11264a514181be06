"""What a recipe aims at, in numbers: the sparsity that its target states, the rounds that its schedule takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import PruneError
from engine.recipe import Part
from engine.registry import make

if TYPE_CHECKING:
    from engine.schedules.iterative import Iterative


def target_sparsity(target: Part) -> float:
    """The sparsity that a target states.

    Raises:
        PruneError: it is a target that is found, not stated.
    """
    if target.name != "sparsity":
        raise PruneError(
            f"target {target.name} does not go with this schedule",
            where="prune.target",
            todo="Give a sparsity, as in target: {sparsity: 0.8}",
        )
    return float(target.get("sparsity"))


def rounds_of(schedule: Part) -> Iterative:
    """The iterative schedule of a recipe: how many rounds, and how far each goes."""
    made: Iterative = make("schedule", "iterative", schedule.params)
    return made
