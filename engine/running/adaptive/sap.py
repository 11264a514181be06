"""SAP in a run (methods.md §3): train, read the PQ Index, cut what it allows, rewind all that is left, again.

The baselines `lottery` and `one_shot` go through the same rounds and differ only in what a round cuts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.errors import PruneError
from engine.events import Decided, Result, number
from engine.layout import Array
from engine.pq import entries, pq_index
from engine.registry import make
from engine.running.adaptive.telling import layer_name
from engine.running.context import Run
from engine.running.dense import TAG
from engine.running.training import train
from engine.targets.pq_index import PqIndex, Step

SCOPES = ("global", "layer", "neuron")


def sap_round(index: int, count: int) -> Callable[[Run], None]:
    """The stage of one round: measure the trained weights, cut, rewind to the initial weights, train what is left.

    Args:
        index: from 0.
        count: of all rounds.
    """

    def act(run: Run) -> None:
        assert run.recipe.prune is not None
        if run.done == 0:
            run.begin("pruning", f"round {index + 1} of {count}: what the PQ Index allows")
            _cut(run, index)
            # All that is left goes back, biases and BatchNorm too; the masks keep what is gone at zero.
            run.set_weights(run.arrays["initial"])
        epochs = run.recipe.prune.schedule.get("epochs") or run.recipe.train.epochs
        # The best epoch by validation is measured and cut next; `epochs` of patience never stop a round.
        patience = run.recipe.train.patience or epochs
        train(run, phase="training", epochs=epochs, tag=TAG, patience=patience, on_epoch=lambda: watch_index(run))
        if index + 1 == count:
            _tell_end(run)

    return act


def watch_index(run: Run) -> None:
    """Adds the PQ Index of each layer and of all together to what is shown of an epoch."""
    target = target_of(run)
    weights, masks = _kernels(run)
    own = {key: pq_index(entries(w, masks[key]), target.p, target.q) for key, w in weights.items()}
    for key, value in own.items():
        run.series[f"pq_index {layer_name(key)}"] = number(value)
        run.numbers.setdefault(key, {})["pq_index"] = number(value)
    every = np.concatenate([entries(w, masks[key]) for key, w in weights.items()] or [np.empty(0)])
    run.series["pq_index"] = number(pq_index(every, target.p, target.q))
    if rows := run.memory.get("sap"):
        run.series |= {"retained_bound": number(rows[-1]["retained_bound"]), "kept": float(rows[-1]["kept"])}
    run.show_layers()


def target_of(run: Run) -> PqIndex:
    """The recipe's target as its rules.

    Raises:
        PruneError: the scope or the granularity is none that the method has.
    """
    prune = run.recipe.prune
    assert prune is not None
    if prune.scope.name not in SCOPES:
        raise PruneError(
            f"target pq_index has no scope {prune.scope.name}", where="prune.scope", todo="Use global, layer or neuron"
        )
    if prune.granularity.name != "weight":
        raise PruneError(
            f"target pq_index counts single weights, not granularity {prune.granularity.name}",
            where="prune.granularity",
            todo="Use weight",
        )
    made: PqIndex = make("target", "pq_index", prune.target.params)
    return made


def _cut(run: Run, index: int) -> None:
    prune, target = run.recipe.prune, target_of(run)
    assert prune is not None
    weights, masks = _kernels(run)
    if index == 0:
        run.arrays["first trained"] = weights
    layouts = {key: kernel.layout for key, kernel in run.maskable().items()}
    step = target.step(weights, masks, scope=prune.scope.name, layouts=layouts, ranked_by=run.arrays["first trained"])
    for key in weights:
        run.numbers[key] = {
            "pq_index": number(step.index[key]), "retained_bound": number(step.bounds[key]),
            "kept": float(step.kept[key]),
        }  # fmt: skip
    before = sum(int(np.count_nonzero(m)) for m in masks.values())
    _, validation = run.validate()
    words = _words(index, step, before, target.baseline)
    run.change_masks(step.masks, words=words)
    run.say(Decided(epoch=run.epoch, layer="", kind="weights", words=words, verdict="accepted", numbers={
        "pq_index": number(step.index[""]), "retained_bound": number(step.bounds[""]), "kept": float(step.kept[""]),
        "before": number(validation), "count": float(before - step.kept[""]), "of": float(before),
    }))  # fmt: skip
    _tell_round(run, step, before=before, validation=validation)


def _tell_round(run: Run, step: Step, *, before: int, validation: float) -> None:
    layers = {
        layer_name(key): {"pq_index": value, "retained_bound": step.bounds[key], "kept": step.kept[key]}
        for key, value in step.index.items()
        if key
    }
    row = {
        "of": before, "pq_index": step.index[""], "retained_bound": step.bounds[""], "kept": step.kept[""],
        "validation": number(validation), "layers": layers,
    }  # fmt: skip
    rows: list[Any] = [*run.memory.get("sap", []), row]
    run.memory["sap"] = rows
    run.say(Result(name="rounds", value=rows))


def _tell_end(run: Run) -> None:
    _, validation = run.validate()
    weights, masks = _kernels(run)
    every = np.concatenate([entries(w, masks[key]) for key, w in weights.items()] or [np.empty(0)])
    target = target_of(run)
    row = {"of": int(every.size), "pq_index": pq_index(every, target.p, target.q), "validation": number(validation)}
    run.say(Result(name="rounds", value=[*run.memory.get("sap", []), row]))
    run.series.clear()  # what follows is no round


def _words(index: int, step: Step, before: int, baseline: str) -> str:
    how = {"none": "SAP", "lottery": "lottery baseline", "one_shot": "one-shot baseline"}[baseline]
    bound = math.ceil(step.bounds[""] - 1e-6)
    return (
        f"round {index + 1}: PQ Index {step.index['']:.3f}, at least {bound:,} of {before:,} weights to be kept; "
        f"{how} keeps {step.kept['']:,}"
    )


def _kernels(run: Run) -> tuple[dict[str, Array], dict[str, Array]]:
    """The kernels that may be pruned, and their masks."""
    found = run.maskable()
    weights = {key: np.array(kernel.variable.numpy()) for key, kernel in found.items()}
    held = run.mask_arrays()
    return weights, {key: held.get(key, np.ones(w.shape, dtype=bool)) for key, w in weights.items()}
