"""Executes a recipe: its stages in order, each event told, a checkpoint after each stage."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import PruneError
from engine.events import Finished, Progress, Started
from engine.recipe import Recipe, to_plain
from engine.running.aims import target_sparsity
from engine.running.control import Cancelled, Control
from engine.session import Session

if TYPE_CHECKING:
    from engine.running.context import Run


def execute(
    recipe: Recipe,
    emit: Callable[[Any], int | None],
    *,
    folder: Path | None = None,
    control: Control | None = None,
    resume: bool = False,
) -> Run:
    """Runs a recipe to its end; everything that happens is told through `emit`.

    Args:
        recipe: resolved.
        emit: takes each event (and live progress); may return the number that a durable event got.
        folder: the run's folder, for checkpoints and the model; None writes nothing.
        control: to cancel, pause and resume from elsewhere.
        resume: go on from the folder's checkpoint.

    Returns:
        The run, its model in `run.model`.

    Raises:
        PruneError: the recipe cannot be carried out; a `Finished(state="failed")` was told before.
    """
    from engine.running.context import Run

    run = Run(recipe, emit, folder=folder, control=control or Control())
    try:
        _go(run, resume=resume)
    except Cancelled:
        _save_stopped(run)
        run.say(Finished(state="stopped", words="stopped on request; what there was is saved"))
    except PruneError as error:
        run.say(Finished(state="failed", words=error.what, where=error.where, todo=error.todo))
        raise
    else:
        run.say(Finished(state="done"))
    return run


def run(recipe: Recipe, on_event: Callable[[Any], None] | None = None, *, folder: Path | None = None) -> Session:
    """Runs a recipe in this process.

    Args:
        recipe: as `engine.load_recipe` gives it.
        on_event: called with every event and all live progress.
        folder: where checkpoints and `model.keras` go; None keeps nothing.

    Returns:
        The session: all that was told.

    Raises:
        PruneError: the recipe cannot be carried out.
    """
    session = Session()

    def hear(message: Any) -> int:
        nonlocal session
        if not isinstance(message, Progress):
            message = msgspec.structs.replace(message, seq=session.seq + 1, time=time.time())
        session = session.apply(message)
        if on_event is not None:
            on_event(message)
        return session.seq

    execute(recipe, hear, folder=folder)
    return session


def _go(run: Run, *, resume: bool) -> None:
    from engine.data import load
    from engine.running.plan import plan

    recipe = run.recipe
    stages = plan(recipe)
    run.stages = len(stages)
    run.data = load(recipe.data.name, **recipe.data.params)
    if resume:
        run.restore()
    else:
        run.take(run.fresh_model())
    prune = recipe.prune
    known = prune is not None and prune.target.name == "sparsity" and not recipe.sweep
    stated = target_sparsity(prune.target) if known and prune is not None else None
    run.say(
        Started(
            run=run.folder.name if run.folder else recipe.name, recipe=to_plain(recipe), environment=environment(),
            metric=run.task.metric, epochs=sum(s.epochs for s in stages),
            target=prune.target.name if prune else "",
            target_value=stated,
            denominator="units" if run.by_units else "weights", resumed_after=run.seq if resume else None,
        )
    )  # fmt: skip
    if not resume:
        run.begin(
            "loading",
            f"{run.data.name}: {len(run.data.x_train):,} / {len(run.data.x_val):,} / {len(run.data.x_test):,} examples",
        )
        run.save()
    for index, stage in list(enumerate(stages))[run.stage :]:
        run.stage = index
        run.control.check()
        stage.act(run)
        run.stage, run.done, run.optimizer = index + 1, 0, None
        run.save()


def _save_stopped(run: Run) -> None:
    from engine.running.finishing import save_model

    if run.model is not None:
        if run.masks is not None:
            run.masks.apply()
            run.masks.detach()
            run.masks = None
        save_model(run)


def environment() -> dict[str, Any]:
    """Versions and hardware, as every report needs them."""
    import keras
    import numpy
    import tensorflow as tf

    from engine import __version__

    return {
        "prune-tui": __version__, "tensorflow": tf.__version__, "keras": keras.__version__, "numpy": numpy.__version__,
        "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(), "threads": tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count(),
        "devices": [d.name for d in tf.config.list_physical_devices()],
    }  # fmt: skip
