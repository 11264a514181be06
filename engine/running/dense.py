"""The dense network: trained once, kept as the control of everything that follows, and reused by every later run.

A dense model depends only on the part of a recipe that makes it (data, model, training, seed) and on the versions that
ran it; the cache is addressed by that.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import msgspec
import tensorflow as tf

from engine.errors import PruneError
from engine.events import EpochEnded, Measured, number
from engine.keys import variable_keys
from engine.registry import make
from engine.running import checkpoint
from engine.running.context import Run
from engine.running.penalty import penalised
from engine.running.training import train

EARLY = "early"  # the arrays of an early step
TAG = "train"  # the same tag as sparse training from scratch: both see the same order of examples


def train_dense(run: Run) -> None:
    """Trains the recipe's model unpruned; it stays the model of the run, and its copy is the dense control."""
    _train(run, control=False)


def train_control(run: Run) -> None:
    """Trains the same model unpruned beside the run, then starts the run's own model from its initial weights."""
    _train(run, control=True)
    run.take(run.fresh_model())
    run.epoch = 0


def _train(run: Run, *, control: bool) -> None:
    epochs = run.recipe.train.epochs
    if run.done == 0:
        run.arrays["initial"] = run.weights()
        run.show_layers()
        if _reuse(run, control=control):
            return keep_control(run)
    early = _Early(run) if _needs_early(run) else None
    train(run, phase="training", epochs=epochs, tag=TAG, control=control, patience=run.recipe.train.patience,
          hook=early, on_epoch=lambda: _each_epoch(run))  # fmt: skip
    if early is not None and EARLY not in run.arrays:
        early.act(0)  # training was over before that step
    _cache(run)
    return keep_control(run)


def _each_epoch(run: Run) -> None:
    prune = run.recipe.prune
    if prune is not None and prune.target.name == "pq_index":
        from engine.running.adaptive import watch_index

        watch_index(run)


class _Early:
    """A hook that keeps the state at the early step that a later rewind goes back to."""

    def __init__(self, run: Run) -> None:
        prune, settings = run.recipe.prune, run.recipe.train
        assert prune is not None
        self.run = run
        schedule = make("schedule", "iterative", prune.schedule.params)
        self.step: int = schedule.early(math.ceil(len(run.data.x_train) / settings.batch_size) * settings.epochs)

    def steps(self) -> Iterable[int]:
        """That step."""
        return (self.step,)

    def act(self, _step: int) -> None:
        """Keeps the weights as they are."""
        self.run.arrays[EARLY] = self.run.weights()


def keep_control(run: Run) -> None:
    """Makes a copy of the run's model, as it is now, the dense control."""
    run.dense = run.fresh_model()
    for key, variable in variable_keys(run.dense).items():
        variable.assign(run.weights()[key])
    run.arrays["dense"] = run.weights()
    loss, metric = run.validate()
    run.memory["dense"] = {"validation": number(metric), "validation_loss": number(loss)}
    run.say(Measured(which="dense", values=dict(run.memory["dense"])))


# ---- the cache -----------------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where trained dense models are kept; `PRUNE_TUI_CACHE` moves it."""
    from platformdirs import user_cache_path

    given = os.environ.get("PRUNE_TUI_CACHE")
    return (Path(given) if given else user_cache_path("prune-tui")) / "dense"


def cache_key(run: Run) -> str | None:
    """The address of a recipe's dense model, or None where it cannot be told apart by its recipe alone."""
    recipe = run.recipe
    if recipe.train.epochs == 0 or _needs_early(run):
        return None
    parts = msgspec.to_builtins([recipe.data, recipe.model, recipe.train, recipe.seed])
    parts += [] if penalised(recipe) is None else [penalised(recipe)]
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    files = [_stamp(v) for part in (recipe.data, recipe.model) for v in part.params.values()]
    text = json.dumps([parts, files, tf.__version__, keras.__version__, threads, os.cpu_count()], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _needs_early(run: Run) -> bool:
    prune = run.recipe.prune
    return prune is not None and prune.schedule.name == "iterative" and prune.schedule.get("rewind") == "early"


def _stamp(value: Any) -> Any:
    """What tells whether a file, or any file of a folder, was changed; None for what is neither."""
    if not isinstance(value, str):
        return None
    try:
        path = Path(value).expanduser()
        facts = [f.stat() for f in (path, *sorted(path.rglob("*")))] if path.is_dir() else [path.stat()]
    except (OSError, ValueError, RuntimeError):
        return None
    return hashlib.blake2b(str([(f.st_mtime_ns, f.st_size) for f in facts]).encode(), digest_size=12).hexdigest()


def _reuse(run: Run, *, control: bool) -> bool:
    key = cache_key(run)
    if key is None or not checkpoint.exists(cache_folder() / key):
        return False
    try:
        arrays, state = checkpoint.load(cache_folder() / key)
    except PruneError:
        return False  # an older or torn entry: train again, and overwrite it
    if set(arrays.get("weights", {})) != set(variable_keys(run.model)) or "rows" not in state:
        return False
    run.begin("training", "dense model reused: it was trained before", epochs=0, control=control, cached=True)
    run.set_weights(arrays["weights"])
    for row in state["rows"]:
        event = msgspec.convert({**row, "type": "epochended"}, EpochEnded)
        run.epoch += 0 if control else 1
        run.say(msgspec.structs.replace(event, seq=0, time=0.0, control=control))
    run.done = len(state["rows"])
    return True


def _cache(run: Run) -> None:
    key = cache_key(run)
    if key is None:
        return
    rows = [msgspec.to_builtins(row) for row in run.told]
    if len(rows) < run.done:
        return  # resumed in the middle: the first epochs' rows are in the journal, not here
    try:
        checkpoint.save(cache_folder() / key, arrays={"weights": run.weights()}, state={"rows": rows})
    except OSError as error:  # a full disk or a folder of someone else's costs the next run time, not this one its life
        where = f"in {cache_folder()}: {error.strerror or error}"
        run.note(f"the dense model cannot be kept for later runs {where}", warning=True)
