"""Units in a run: chosen by group, silenced by masks while it trains, and physically gone at its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from engine.errors import PruneError
from engine.events import Result, Surgery, number
from engine.keys import variable_keys
from engine.layout import kernels
from engine.measurement.flops import layer_costs
from engine.registry import make
from engine.running.context import Run
from engine.running.numbering import Numbering
from engine.running.sampling import sample
from engine.surgery import Report, aimed_units, count_units, kept_units, layer_units, shrink_with_report, unit_masks
from engine.surgery import Surgery as Removal

Array = np.ndarray[Any, Any]
STEP_FLOPS = 25e9  # what a training step does in a processor second, measured on the CNN and the MLP of digits
COMPILE_SECONDS = 1.2


def unit_masks_at(run: Run, sparsity: float | Fraction, found: Mapping[str, Array]) -> dict[str, Array]:
    """Weight masks that silence a share of the units (of those that can go at all), whole groups together.

    Args:
        run: its recipe says the rest of the sentence.
        sparsity: the share that goes, of the dense model's units.
        found: the scores of the units that there are now, by layer key.
    """
    assert run.recipe.prune is not None
    scope, whole = run.recipe.prune.scope, Numbering(run)
    scores = {key: whole.spread(key, values, fill=0.0) for key, values in found.items()}
    before = kept_so_far(run, whole)
    kept = kept_units(whole.units, scores, sparsity, scope=scope.name, params=scope.params, before=before or None)
    remember(run, whole, kept)
    masks: dict[str, Array] = unit_masks(run.model, whole.now(kept))
    return masks


def units_aimed_at(run: Run, found: Mapping[str, Array]) -> tuple[int, int]:
    """How many units the target is a share of, and how many of them are left.

    Args:
        run: with its masks as they are.
        found: the scores of the units that there are now, by layer key.
    """
    assert run.recipe.prune is not None
    scope, whole = run.recipe.prune.scope, Numbering(run)
    mine = {key: layer for key, layer in whole.units.items() if key in found}
    aimed: tuple[int, int] = aimed_units(mine, kept_so_far(run, whole), scope=scope.name, params=scope.params)
    return aimed


def epsilon_masks(run: Run) -> dict[str, Array]:
    """Weight masks that leave each layer the units from which the others can be made within the target's error."""
    from engine.interpolation import units_within

    prune = run.recipe.prune
    assert prune is not None
    criterion = make("criterion", prune.criterion.name, prune.criterion.params)
    if prune.criterion.name != "interpolative":
        raise PruneError(
            "target epsilon is an error of interpolation", where="prune.target", todo="Use criterion: interpolative"
        )
    x, _ = sample(run, criterion, seed=run.seed("score"))
    found = units_within(run.model, x, epsilon=float(prune.target.get("epsilon")))
    whole = Numbering(run)
    kept = {key: keep for key, keep in found.items() if key in whole.units}
    for key, keep in kept.items():
        run.note(f"{key}: {int(keep.sum())} of {len(keep)} units are enough")
    remember(run, whole, kept)
    masks: dict[str, Array] = unit_masks(run.model, kept)
    return masks


def remember(run: Run, whole: Numbering, kept: Mapping[str, Array]) -> None:
    """Notes in the run's memory what is left of every layer, for counting and for a resume.

    Args:
        run: whose memory it is.
        whole: the dense model's units.
        kept: what stays of them, by layer key.
    """
    run.sparsity()  # counted now: what is noted here changes what counts as gone
    run.memory["units"] = {key: np.flatnonzero(~k).tolist() for key, k in whole.now(kept).items()}
    mine = {key: layer for key, layer in whole.units.items() if key in kept}
    run.memory["unit_counts"] = list(count_units(mine, kept, excepted=run.skips(kept)))


def kept_so_far(run: Run, whole: Numbering) -> dict[str, Array]:
    """What is left of the dense model's units, by layer key; empty before the first choice."""
    gone: dict[str, list[int]] | None = run.memory.get("units")
    if gone is None:
        return {}
    now = {key: ~np.isin(np.arange(len(left)), gone[key]) for key, left in whole.left.items() if key in gone}
    return {key: whole.spread(key, keep, fill=False) for key, keep in now.items()}


def interpolate_units(run: Run, *, samples: int) -> None:
    """Writes the units that are gone as mixtures of those that stay, into the layers that read them (methods.md §5)."""
    from engine.interpolation.compressing import agreement_of, fold

    gone = {key: numbers for key, numbers in run.memory.get("units", {}).items() if numbers}
    if run.masks is None or run.dense is None or not gone:
        run.note("no units are gone, so there is nothing to interpolate", warning=True)
        return
    rows = np.random.default_rng(run.seed("interpolate")).permutation(len(run.data.x_train))[:samples]
    x, masks, now = run.data.x_train[rows], run.mask_arrays(), run.weights()
    # The mixtures are of what the removed units computed: for this, their last weights come back.
    before = {key: np.where(mask, now[key], run.arrays["dense"][key]) for key, mask in masks.items()}
    for key, variable in variable_keys(run.model).items():
        if key in before:
            variable.assign(before[key])
    fits, skipped = fold(run.model, x, gone)
    run.masks.apply()
    for fit in fits:
        made = f"{fit.before} inputs made from the {fit.after} that are left"
        run.note(f"{fit.reader}: {made}, relative error {fit.error:.2%}")
    errors = [{"layer": f.reader, "inputs": f.before, "left": f.after, "relative_error": number(f.error)} for f in fits]
    run.say(Result(name="interpolation", value=errors))
    for layer, reason in skipped.items():
        run.note(f"{layer} is not interpolated: {reason}", warning=True)
    agreement = agreement_of(run.dense, run.model, run.data.x_val)
    if agreement is not None and run.data.classes:
        run.say(Result(name="agreement", value=agreement))
        run.note(f"predicts the same class as the dense model on {agreement:.1%} of the validation inputs")


def shrink_run(run: Run) -> None:
    """Removes the silent units physically, and tells layer by layer what that changed."""
    operation = shrink_with_report(run.model)
    run.replace(operation.model)
    run.say(surgery_event(run, operation.report))
    if not run.by_units:  # single weights are gone as well (the dynamic method), and are to be counted as such
        run.set_masks({key: kernel.variable.numpy() != 0 for key, kernel in kernels(run.model).items()})
    run.show_layers()  # the weights that read what is gone are gone, too
    if run.masks is not None:
        run.masks.detach()
        run.masks = None
    for skip in operation.report.skipped:
        run.note(f"{skip.layer}: {len(skip.units)} silent units stay: {skip.reason}", warning=True)


def shrink_between_rounds(run: Run, *, epochs: int, last: bool) -> None:
    """Removes what is silent already now, where the epochs that are left gain more than compiling again costs.

    Decided by arithmetic, not by the clock, so that a run does the same every time. A model that was trained under
    masks would go on without compiling; a whole or a smaller one has to be compiled for its new masks anyway, so that
    shrinking it costs nothing now, but one more compilation at the next round.

    Args:
        run: the run, its masks just changed.
        epochs: how many are left, this round's and the later ones'.
        last: no round follows.
    """
    compilations = int(run.memory.get("trained_under_masks", False)) + int(not last)
    operation = smaller_if_it_pays(run, epochs=epochs, compilations=compilations)
    run.memory["trained_under_masks"] = operation is None
    if operation is None:
        return
    removed = operation.report.removed
    stuck = {
        key: np.isin(np.delete(np.arange(layer.units), list(removed.get(key, ()))), run.memory["units"].get(key, ()))
        for key, layer in layer_units(run.model).items()
    }
    Numbering(run).removed(run, removed)
    take_smaller(run, operation)
    run.memory["units"] = {key: np.flatnonzero(silent).tolist() for key, silent in stuck.items()}
    if any(silent.any() for silent in stuck.values()):  # what surgery could not take stays silent
        run.set_masks(unit_masks(run.model, {key: ~silent for key, silent in stuck.items()}))


def smaller_if_it_pays(run: Run, *, epochs: int, compilations: int = 1) -> Removal | None:
    """The run's model without its silent units, where that many epochs gain more than so many compilations cost."""
    before = sum(cost.flops for cost in layer_costs(run.model).values())

    def pays(saved: int) -> bool:
        work = 3 * saved * len(run.data.x_train) * epochs  # backwards costs two forwards
        return saved > 0 and work / STEP_FLOPS >= compilations * COMPILE_SECONDS

    if not pays(before):  # not even if all of it went: so small a network is not worth looking at
        return None
    operation = shrink_with_report(run.model)
    return operation if pays(before - operation.report.flops[1]) else None


def take_smaller(run: Run, operation: Removal, *, words: str = "") -> None:
    """Makes the smaller model the run's, without masks, and says so."""
    now, left = operation.report.flops
    run.replace(operation.model)
    run.say(surgery_event(run, operation.report))
    run.note(f"physically smaller from here on: {left / max(now, 1):.0%} of the FLOPs are left{words}")


def surgery_event(run: Run, report: Report) -> Surgery:
    """A surgery report as an event: beside the first one's sizes, where the model became smaller in several steps."""
    rows = [dataclasses.asdict(change) for change in report.layers]
    first: dict[str, Any] = run.memory.setdefault("before_surgery", {row["layer"]: row for row in rows})
    for row in rows:
        row |= {k: v for k, v in first.get(row["layer"], row).items() if k.endswith("_before")}
    groups = list(dict.fromkeys([*run.memory.get("surgery_groups", []), *report.groups]))
    run.memory["surgery_groups"] = groups
    return Surgery(
        rows=tuple(rows),
        groups=tuple(groups),
        skipped={s.layer: s.reason for s in report.skipped},
        before={"parameters": _sum(rows, "params_before"), "flops": _sum(rows, "flops_before")},
        after={"parameters": _sum(rows, "params_after"), "flops": _sum(rows, "flops_after")},
    )


def _sum(rows: list[dict[str, Any]], name: str) -> int:
    return sum(int(row[name]) for row in rows)
