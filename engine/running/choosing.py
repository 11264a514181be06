"""The middle of the sentence: from criterion, granularity and scope to masks at a sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from engine.layout import kernels
from engine.recipe import Prune
from engine.registry import make
from engine.running.context import Run
from engine.running.sampling import sample

Array = np.ndarray[Any, Any]


def spec_of(prune: Prune) -> str:
    """The granularity as the library takes it: `weight`, `unit`, `block:4x1`, `2:4`."""
    from engine.recipe_reading import part_to_plain

    plain = part_to_plain(prune.granularity, "granularity")
    if isinstance(plain, str):
        return plain
    return f"block:{plain.get('rows', 4)}x{plain.get('cols', 1)}" if plain["name"] == "block" else str(plain["name"])


def scores(run: Run, *, seed: int) -> dict[str, Array]:
    """One score a weight by variable key, or one a unit by layer key, of the model under its masks."""
    from engine.scoring.context import context
    from engine.scoring.scores import ask
    from engine.scoring.units import score_units

    prune = run.recipe.prune
    assert prune is not None
    criterion = make("criterion", prune.criterion.name, prune.criterion.params)
    data = sample(run, criterion, seed=seed)
    if run.by_units:
        pool = prune.granularity.get("group", "sum")
        return dict(score_units(run.model, criterion, data, seed=seed, pool=pool))
    scene = context(run.model, data, seed=seed, probe=run.probe)
    run.probe = scene.probe  # what was traced serves the next call, too
    found = ask(criterion, scene)
    run.tell_skipped(found.skipped)
    return found


def masks_at(
    run: Run,
    sparsity: float | Fraction,
    *,
    seed: int,
    found: Mapping[str, Array] | None = None,
    own: Mapping[str, Fraction] | None = None,
) -> dict[str, Array]:
    """Masks with exactly this sparsity (in the target's denominator); what is gone stays gone.

    Args:
        run: its recipe says the rest of the sentence.
        sparsity: the share that goes.
        seed: for criteria that draw, and for the samples.
        found: the scores, as of `scores`, when they are known already.
        own: the sparsity of single kernels by key, beside the recipe's `per_layer`, which has the first word.
    """
    from engine.choosing import choose

    prune = run.recipe.prune
    assert prune is not None
    found = dict(found) if found is not None else scores(run, seed=seed)
    if run.by_units:
        from engine.running.units import unit_masks_at

        return unit_masks_at(run, sparsity, found)
    layouts = {key: kernel.layout for key, kernel in kernels(run.model).items()}
    params = choosing_params(prune)
    if own:
        theirs = params.get("per_layer", {})
        params["per_layer"] = {**theirs, **own, **theirs}  # the first pattern that fits counts
    return choose(
        found,
        sparsity,
        granularity=spec_of(prune),
        scope=prune.scope.name,
        layouts=layouts,
        within=run.mask_arrays() or None,
        gradual=True,
        **params,
    )


def choosing_params(prune: Prune) -> dict[str, Any]:
    """The parameters of scope and granularity, as `engine.choose` takes them."""
    pooling = {"pooling": prune.granularity.get("pooling")} if prune.granularity.name == "block" else {}
    return {**prune.scope.params, **pooling}
