"""n of every m weights: the pattern itself says how much goes."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec

from engine.errors import PruneError
from engine.recipe import Part, Recipe

CLOSE = Fraction(1, 200)
"""How near a number must lie to the pattern's share to mean it: a person writes 0.67 for 2/3."""


def pattern_sparsity(n: int, m: int) -> Fraction:
    """The share that goes: `1 - n/m`."""
    return 1 - Fraction(n, m)


def agreed_sparsity(n: int, m: int, asked: float | Fraction | None) -> Fraction:
    """The sparsity of n:m beside what is asked for: nothing, the pattern's own share, or 0 (leave it whole).

    Raises:
        PruneError: another sparsity is asked for than the pattern has.
    """
    own = pattern_sparsity(n, m)
    if asked is None or abs(Fraction(str(asked)) - own) <= CLOSE:
        return own
    if asked == 0:
        return Fraction(0)
    raise PruneError(
        f"{n}:{m} fixes the sparsity at {float(own):.6g}, so it cannot be {float(asked):.6g}",
        todo=f"Leave the sparsity out, or give {float(own):.6g}; another n:m has another sparsity",
    )


def no_share_of_the_output(n: int, m: int, share: float | None) -> None:
    """Refuses rounds in which the output has a share of its own: n:m cuts every layer alike.

    Raises:
        PruneError: there is one.
    """
    if share is not None:
        raise PruneError(
            f"{n}:{m} cuts the same share of every layer, so the output cannot have one of its own",
            todo="Leave output_share out, or name the output in skip",
        )


def by_pattern(recipe: Recipe, target: Any) -> tuple[Recipe, list[tuple[tuple[str, ...], str]]]:
    """A recipe with granularity n:m: its sparsity is the pattern's, whether or not the recipe says so.

    Args:
        recipe: as read, defaults filled in.
        target: as the recipe writes it, or None.

    Returns:
        The recipe with its target, and what is wrong: places and messages.
    """
    prune = recipe.prune
    assert prune is not None
    n, m = int(prune.granularity.get("n")), int(prune.granularity.get("m"))
    if n > m:
        return recipe, [(("prune", "granularity"), f"{n}:{m} keeps {n} of every {m}; write n:m with n at most m")]
    said = isinstance(target, Mapping) and "sparsity" in target
    asked: dict[tuple[str, ...], Any] = {
        ("prune", "schedule", "final"): prune.schedule.get("final"),
        **{("prune", "scope", "per_layer", k): v for k, v in (prune.scope.get("per_layer") or {}).items()},
    }
    if said:
        asked["prune", "target", "sparsity"] = prune.target.get("sparsity")
    problems = []
    for path, share in asked.items():
        try:
            agreed_sparsity(n, m, share)
        except PruneError as error:
            problems.append((path, str(error)))
    try:
        no_share_of_the_output(n, m, prune.schedule.get("output_share"))
    except PruneError as error:
        problems.append((("prune", "schedule", "output_share"), str(error)))
    if said or prune.target.name != "sparsity":  # what does not go with it, the plan says
        return recipe, problems
    own = Part("sparsity", {"sparsity": float(pattern_sparsity(n, m))})
    return msgspec.structs.replace(recipe, prune=msgspec.structs.replace(prune, target=own)), problems
