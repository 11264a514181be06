"""Units in a run: chosen by group, silenced by masks while it trains, and physically gone at its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from engine.events import Surgery
from engine.registry import make
from engine.running.context import Run
from engine.surgery import LayerUnits, Report, kept_units, layer_units, shrink_with_report, unit_masks

Array = np.ndarray[Any, Any]


def unit_masks_at(run: Run, sparsity: float | Fraction, *, seed: int) -> dict[str, Array]:
    """Weight masks that silence a share of the units (of those that can go at all), whole groups together."""
    from engine.running.choosing import sample
    from engine.scoring.units import score_units

    prune = run.recipe.prune
    assert prune is not None
    criterion = make("criterion", prune.criterion.name, prune.criterion.params)
    scores = score_units(
        run.model, criterion, sample(run, criterion, seed=seed), seed=seed, pool=prune.granularity.get("group", "sum")
    )
    units = layer_units(run.model)
    kept = kept_units(
        units, scores, sparsity, scope=prune.scope.name, params=prune.scope.params, before=_kept_before(run)
    )
    remember(run, units, kept)
    return unit_masks(run.model, kept)


def remember(run: Run, units: Mapping[str, LayerUnits], kept: Mapping[str, Array]) -> None:
    """Notes in the run's memory what is left of every layer, for counting and for a resume."""
    run.memory["units"] = {key: np.flatnonzero(~k).tolist() for key, k in kept.items()}
    groups = {int(g) for key in kept for g, free in zip(units[key].group, units[key].free, strict=True) if free}
    gone = {int(units[key].group[n]) for key, k in kept.items() for n in np.flatnonzero(~k)}
    run.memory["unit_counts"] = [len(groups), len(groups - gone)]


def _kept_before(run: Run) -> dict[str, Array] | None:
    gone = run.memory.get("units")
    if gone is None:
        return None
    kept = {}
    for key, layer in layer_units(run.model).items():
        if key in gone:
            kept[key] = np.ones(layer.units, bool)
            kept[key][gone[key]] = False
    return kept


def interpolate_units(run: Run, *, samples: int) -> None:
    """Writes the units that are gone as mixtures of those that stay (methods.md §5); the model is smaller afterwards.

    The mixtures come from the model as it was before pruning: the dense one.
    """
    from engine.interpolation import interpolate_with_report

    if run.masks is None or run.dense is None:
        run.note("nothing is pruned, so there is nothing to interpolate", warning=True)
        return
    kept = _kept_before(run) or {}
    rows = np.random.default_rng(run.seed("interpolate")).permutation(len(run.data.x_train))[:samples]
    keep = {key: np.flatnonzero(k).tolist() for key, k in kept.items() if not k.all()}
    model, report = interpolate_with_report(run.dense, run.data.x_train[rows], keep=keep)
    run.replace(model)
    if report.agreement is not None:
        run.note(f"agrees with the dense model on {report.agreement:.1%} of these inputs")


def shrink_run(run: Run) -> None:
    """Removes the silent units physically, and tells layer by layer what that changed."""
    operation = shrink_with_report(run.model)
    run.replace(operation.model)
    run.say(surgery_event(operation.report))
    for skip in operation.report.skipped:
        run.note(f"{skip.layer}: {len(skip.units)} silent units stay: {skip.reason}", warning=True)


def surgery_event(report: Report) -> Surgery:
    """A surgery report as an event."""
    rows = tuple(dataclasses.asdict(change) for change in report.layers)
    (params, params_left), (flops, flops_left) = report.params, report.flops
    return Surgery(
        rows=rows,
        groups=report.groups,
        skipped={s.layer: s.reason for s in report.skipped},
        before={"parameters": params, "flops": flops},
        after={"parameters": params_left, "flops": flops_left},
    )
