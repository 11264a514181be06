"""The end of a run: surgery where units are gone, measurement beside the dense control, and the model's file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.events import Measured, Result, Saved, number
from engine.running import histograms
from engine.running.context import Run


def finish(run: Run) -> None:
    """Makes the model physically smaller where it can, measures it, and saves it."""
    loss, metric = run.validate()
    histograms.tell(run)
    if run.masks is not None:
        run.masks.apply()
        if run.by_units or run.memory.get("units_masked"):
            from engine.running.units import shrink_run

            shrink_run(run)
        else:
            run.masks.detach()
            run.masks = None
    save_model(run)
    if run.recipe.measure.latency is None:
        sizes: tuple[int, ...] = ()
        repeats = 3
    else:
        sizes, repeats = run.recipe.measure.latency.batch_sizes, run.recipe.measure.latency.repeats
    run.begin("measuring", "measuring accuracy, size and speed, beside the dense control")
    values = measured(run, run.model, reference=run.dense, batch_sizes=sizes, repeats=repeats)
    dense = values.get("reference")  # measured beside it: once more would cost as much again
    if dense is not None:
        run.say(Measured(which="dense", values={**run.memory.get("dense", {}), **dense}))
    if run.recipe.measure.runtimes:
        _compare_runtimes(run, batch_size=sizes[-1] if sizes else 1)
    from engine.exporting.advice import zeros_in_words

    if sizes and not run.by_units and (words := zeros_in_words(run.model)):
        run.note(words)
    run.say(Measured(which="pruned", values={"validation": number(metric), "validation_loss": number(loss), **values}))


def measured(
    run: Run, model: Any, *, reference: Any = None, batch_sizes: tuple[int, ...], repeats: int
) -> dict[str, Any]:
    """A measurement on the test split, as plain values."""
    from engine.measurement.measuring import measure

    test = (run.data.x_test, np.asarray(run.data.y_test))
    result = measure(
        model, test, reference=reference, batch_sizes=batch_sizes, repeats=repeats, seconds=0.5,
        **run.task.for_measuring,
    )  # fmt: skip
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(result))  # as it travels: lists, no tuples
    return plain


def _compare_runtimes(run: Run, *, batch_size: int) -> None:
    """Times the result in every runtime that the recipe names, for the same inputs."""
    from engine.measurement.contenders import runtimes

    only = [name for name in run.recipe.measure.runtimes if name != "all"] or None
    rows = runtimes(run.model, (run.data.x_test, run.data.y_test), batch_size=batch_size, only=only)
    run.say(Result(name="runtimes", value=msgspec.json.decode(msgspec.json.encode(rows))))


def save_model(run: Run) -> None:
    """Saves the result as an ordinary Keras model, atomically."""
    if run.folder is None:
        return
    path = run.folder / "model.keras"
    temporary = path.with_name(".model.saving.keras")
    run.model.save(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    run.say(Saved(file="model.keras", bytes=Path(path).stat().st_size, what="the result, an ordinary Keras model"))
