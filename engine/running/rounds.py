"""Pruning in rounds (Frankle & Carbin 2019): cut a share of what is left, rewind, train again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from engine.layout import Array, kernels
from engine.recipe import Prune
from engine.registry import make
from engine.running import histograms
from engine.running.aims import rounds_of, target_sparsity
from engine.running.choosing import masks_at, scores
from engine.running.context import Run
from engine.running.dense import EARLY, TAG
from engine.running.once import shuffle_masks
from engine.running.training import train
from engine.running.units import shrink_between_rounds, units_aimed_at

if TYPE_CHECKING:
    from engine.schedules.iterative import Iterative


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
        epochs = int(schedule.get("epochs") or run.recipe.train.epochs)
        if run.done == 0:
            target = target_sparsity(prune.target)
            run.begin("pruning", f"round {index + 1} of {count}")
            rounds = rounds_of(schedule)
            own = {} if run.by_units else of_the_output(run, rounds)
            seed = run.seed("score")
            found = scores(run, seed=seed)
            total, left = units_aimed_at(run, found) if run.by_units else weights_aimed_at(run, found, own)
            now = rounds.after(index, target, total=total, left=left)
            run.change_masks(masks_at(run, now, seed=seed, found=found, own=own), target=float(now))
            histograms.tell(run)
            rewind(run, index, count)
            if run.by_units and not goes_back(prune):
                left = (count - index) * epochs + sum(part.get("epochs", 0) for part in prune.repair)
                shrink_between_rounds(run, epochs=left, last=index + 1 == count)
        train(run, phase="training", epochs=epochs, tag=TAG)

    return act


def goes_back(prune: Prune) -> bool:
    """True where something later asks for the dense weights of all units again, so that none may go before the end."""
    controlled = prune.schedule.name == "iterative" and (
        prune.schedule.get("rewind") != "none" or prune.schedule.get("control") != "none"
    )
    return controlled or any(part.name in ("rewind", "interpolate") for part in prune.repair)


def of_the_output(run: Run, rounds: Iterative) -> dict[str, Fraction]:
    """The sparsity of the output kernel after this round, where it has a share of its own."""
    *_, (key, kernel) = kernels(run.model).items()
    return rounds.output(key, run.mask_arrays(), math.prod(kernel.shape))


def weights_aimed_at(run: Run, found: Mapping[str, Array], own: Iterable[str] = ()) -> tuple[int, int]:
    """How many weights the target is a share of, and how many are left: layers that the scope excepts do not count.

    Args:
        run: with its masks as they are.
        found: the scores, by variable key; a kernel without one stays whole.
        own: kernels that have a share of their own in this round.
    """
    prune = run.recipe.prune
    assert prune is not None
    masks = run.mask_arrays()
    sizes = {key: scores.size for key, scores in found.items()}
    excepted = make("scope", prune.scope.name, prune.scope.params).overrides(sorted(sizes))
    ours = [key for key in sizes if key not in excepted and key not in own]
    left = sum(int(masks[key].sum()) if key in masks else sizes[key] for key in ours)
    return sum(sizes[key] for key in ours), left


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
