"""What a recipe aims at, in numbers: the sparsity that its target states, the rounds that its schedule takes."""

from __future__ import annotations

import math
from fractions import Fraction

from engine.errors import PruneError
from engine.recipe import Part


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


def round_count(schedule: Part, sparsity: float) -> int:
    """How many rounds an iterative schedule takes to a sparsity: given, or as many as its share needs."""
    given = schedule.get("rounds")
    if given:
        return int(given)
    if sparsity <= 0:
        return 1
    if sparsity >= 1:
        return 30
    share = Fraction(str(schedule.get("share")))
    return max(1, math.ceil(math.log(1 - sparsity) / math.log(1 - share) - 1e-9))
