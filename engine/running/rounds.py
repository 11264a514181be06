"""Pruning in rounds (Frankle & Carbin 2019): cut a share of what is left, rewind, train again."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from engine.recipe import Prune
from engine.running import histograms
from engine.running.aims import target_sparsity
from engine.running.choosing import masks_at
from engine.running.context import Run
from engine.running.dense import EARLY, TAG
from engine.running.once import shuffle_masks
from engine.running.training import train
from engine.running.units import shrink_between_rounds


def round_of(index: int, count: int) -> Callable[[Run], None]:
    """The stage of one round: prune, rewind, train.

    Args:
        index: from 0.
        count: of all rounds; the last one reaches the target exactly.
    """

    def act(run: Run) -> None:
        prune = run.recipe.prune
        assert prune is not None
        schedule = prune.schedule
        if run.done == 0:
            target = target_sparsity(prune.target)
            run.begin("pruning", f"round {index + 1} of {count}")
            now = (
                target
                if index + 1 == count
                else round_sparsity(run, schedule.get("share"), schedule.get("rounds"), index)
            )
            run.change_masks(masks_at(run, now, seed=run.seed("score")), target=float(now))
            histograms.tell(run)
            rewind(run, index, count)
            if run.by_units and not goes_back(prune):
                shrink_between_rounds(run, epochs=schedule.get("epochs") or run.recipe.train.epochs)
        train(run, phase="training", epochs=schedule.get("epochs") or run.recipe.train.epochs, tag=TAG)

    return act


def goes_back(prune: Prune) -> bool:
    """True where something later asks for the dense weights of all units again, so that none may go before the end."""
    controlled = prune.schedule.name == "iterative" and (
        prune.schedule.get("rewind") != "none" or prune.schedule.get("control") != "none"
    )
    return controlled or any(part.name in ("rewind", "interpolate") for part in prune.repair)


def round_sparsity(run: Run, share: float, rounds: int | None, index: int) -> Fraction:
    """The exact sparsity after a round: ceil(share * left) go, or equal ratios where rounds are given."""
    assert run.recipe.prune is not None
    counts = run.counts()
    total, left = (counts.units, counts.units_kept) if run.by_units else (counts.weights, counts.weights_kept)
    if rounds:
        density = (1.0 - target_sparsity(run.recipe.prune.target)) ** ((index + 1) / rounds)
        return Fraction(total - round(density * total), total)
    return Fraction(total - left + math.ceil(Fraction(str(share)) * left), total)


def rewind(run: Run, index: int, count: int) -> None:
    """Puts what is left back to where the schedule says; in the last round the controls come in."""
    prune = run.recipe.prune
    assert prune is not None
    to, control = prune.schedule.get("rewind"), prune.schedule.get("control")
    if control != "none" and index + 1 == count:
        if control == "shuffle":
            shuffle_masks(run)
        run.set_weights(run.fresh_values("reinitialised") if control == "reinitialise" else run.arrays["initial"])
        other = "new random initial weights" if control == "reinitialise" else "the same densities, random masks"
        run.note(f"control: {other}")
    elif to == "init":
        run.set_weights(run.arrays["initial"])
    elif to == "early":
        run.set_weights(run.arrays[EARLY])
