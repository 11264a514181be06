"""Pruning in one go: after training, or at initialisation (in as many steps as the criterion takes)."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.events import Measured, Progress, number
from engine.registry import make
from engine.running import histograms
from engine.running.aims import target_sparsity
from engine.running.choosing import choosing_params, masks_at, spec_of
from engine.running.context import Run
from engine.running.dense import TAG
from engine.running.sampling import sample
from engine.running.seeding import seed_of
from engine.running.training import train
from engine.scoring.context import context
from engine.scoring.pruning import find_masks

Array = np.ndarray[Any, Any]


def prune_once(run: Run) -> None:
    """Prunes the trained model to the target, and tells what that alone costs, before any repair."""
    if run.done:
        return
    run.begin("pruning", "scoring and pruning")
    _prune(run)
    histograms.tell(run)
    loss, metric = run.validate()
    run.memory["before_recovery"] = {"validation": number(metric), "validation_loss": number(loss)}
    run.say(Measured(which="before_recovery", values=dict(run.memory["before_recovery"])))


def prune_then_train(run: Run) -> None:
    """Prunes at initialisation, applies the control that the schedule asks for, and trains what is left."""
    prune = run.recipe.prune
    assert prune is not None
    if run.done == 0:
        run.begin("pruning", "scoring and pruning at initialisation")
        _prune(run)
        control = prune.schedule.get("control")
        if control == "shuffle":
            shuffle_masks(run)
        elif control == "reinitialise":
            reinitialise(run)
    train(run, phase="training", epochs=run.recipe.train.epochs, tag=TAG, patience=run.recipe.train.patience)


def _prune(run: Run) -> None:
    assert run.recipe.prune is not None
    if run.by_units and run.recipe.prune.target.name == "epsilon":
        from engine.running.units import epsilon_masks

        run.change_masks(epsilon_masks(run))
        return
    target = target_sparsity(run.recipe.prune.target)
    seed = run.seed("score")
    masks = masks_at(run, target, seed=seed) if run.by_units else _found(run, target, seed=seed)
    run.change_masks(masks, target=target)


def _found(run: Run, target: float, *, seed: int) -> dict[str, Array]:
    prune = run.recipe.prune
    assert prune is not None
    criterion = make("criterion", prune.criterion.name, prune.criterion.params)

    def told(step: int, steps: int, _masks: object) -> None:
        run.show(Progress(phase="pruning", step=step, steps=steps, share=step / steps))
        run.control.check()

    scene = context(run.model, sample(run, criterion, seed=seed), seed=seed)
    masks = find_masks(
        scene,
        criterion,
        target,
        granularity=spec_of(prune),
        scope=prune.scope.name,
        params=choosing_params(prune),
        on_step=told,
    )
    run.tell_skipped(scene.skipped)
    return masks


def shuffle_masks(run: Run) -> None:
    """The control "same density in each layer, at random places": every mask is shuffled inside its layer."""
    shuffled = {}
    for key, mask in run.mask_arrays().items():
        rng = np.random.default_rng(seed_of(run.recipe.seed, "shuffle", key))
        shuffled[key] = rng.permutation(mask.reshape(-1)).reshape(mask.shape)
    # Weights that come back must have their initial values: masking has zeroed them.
    run.set_masks(shuffled)
    run.set_weights(run.fresh_values())
    run.change_masks(shuffled, words="control: masks shuffled inside each layer")


def reinitialise(run: Run) -> None:
    """The control "same mask, new random weights"."""
    run.set_weights(run.fresh_values("reinitialised"))
    run.note("control: the same masks, new random initial weights")
