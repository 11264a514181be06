"""Sensitivity: each layer alone at rising sparsities, without training: a table that fills live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.errors import DataError, PruneError
from engine.events import Measured, Result, Saved, number
from engine.keys import variable_keys
from engine.layout import Array, kernels
from engine.recipe import Part, to_yaml
from engine.running.adaptive.shares import Sensitivity, per_layer
from engine.running.context import Run
from engine.schedules.sensitivity import SPARSITIES

Masks = dict[str, Array]
Judge = Callable[[], float]
Alone = Callable[[str, float], Masks]


# ---- in a run ------------------------------------------------------------------------------------------------------


def sense(run: Run) -> None:
    """The stage of schedule `sensitivity`: the table, then all layers pruned as far as each can bear.

    With target accuracy_drop, each layer goes as far as it loses at most that much alone; with target sparsity, all
    together go that far at equal losses. The recipe with these shares is saved beside the run.

    Raises:
        PruneError: the target is another one, or the granularity has no sparsity.
    """
    prune = run.recipe.prune
    assert prune is not None
    if prune.target.name not in ("accuracy_drop", "sparsity"):
        raise PruneError(
            f"target {prune.target.name} does not go with schedule sensitivity",
            where="prune.target",
            todo="Use accuracy_drop or sparsity",
        )
    if run.done:
        return
    run.begin("pruning", "each layer alone")
    found = table_of(run, prune.schedule.get("sparsities"))
    drop, wanted = prune.target.get("accuracy_drop"), prune.target.get("sparsity")
    shares = per_layer(found.shares(drop) if wanted is None else found.shares_for(wanted))
    scope = Part("layer", {**prune.scope.params, "per_layer": shares})
    run.recipe = msgspec.structs.replace(run.recipe, prune=msgspec.structs.replace(prune, scope=scope))
    total = found.total(shares)
    run.say(Result(name="shares", value={"per_layer": shares, "sparsity": total}))
    _save_recipe(run, shares, total)
    from engine.running.choosing import masks_at

    run.change_masks(
        masks_at(run, 0.0, seed=run.seed("score")), target=wanted, words="each layer pruned as far as it can bear"
    )
    loss, metric = run.validate()
    run.memory["before_recovery"] = {"validation": number(metric), "validation_loss": number(loss)}
    run.say(Measured(which="before_recovery", values=dict(run.memory["before_recovery"])))
    run.note(
        f"{total:.1%} gone with each layer's own share: {run.task.metric.name} {metric:.4f}, dense {found.dense:.4f}"
    )


def table_of(run: Run, sparsities: Sequence[float]) -> Sensitivity:
    """The table of the run's model on its validation data; told cell by cell, and kept in the run's memory."""
    alone, sizes = _alone_in(run)
    memory: dict[str, dict[str, float]] = run.memory.setdefault("sensitivity", {})
    _, dense = run.validate()
    names = [f"{s:g}" for s in sparsities]

    def tell() -> None:
        value = {
            "metric": run.task.metric.name, "direction": run.task.metric.direction, "dense": number(dense),
            "sparsities": list(sparsities), "layers": list(sizes),
            "table": {k: {s: number(v) for s, v in row.items()} for k, row in memory.items()},
        }  # fmt: skip
        run.say(Result(name="sensitivity", value=value))

    for key in sizes:
        if len(memory.get(key, {})) == len(names):
            continue  # known from before a resume
        row = memory.setdefault(key, {})
        for name, sparsity in zip(names, sparsities, strict=True):
            row[name] = _judged(run.model, alone(key, sparsity), lambda: run.validate()[1]) if sparsity else dense
            tell()
            run.control.check()
        run.save()
    metric = run.task.metric
    table = {k: {float(s): v for s, v in row.items()} for k, row in memory.items()}
    return Sensitivity(metric=metric.name, direction=metric.direction, dense=dense, table=table, sizes=sizes)


def _alone_in(run: Run) -> tuple[Alone, dict[str, int]]:
    from engine.running.choosing import choosing_params, scores, spec_of

    prune = run.recipe.prune
    assert prune is not None
    if run.by_units:
        return units_alone(run.model, scores(run, seed=run.seed("score")))
    known = set(run.maskable())
    found = {k: v for k, v in scores(run, seed=run.seed("score")).items() if k in known}
    own = {k: v for k, v in choosing_params(prune).items() if k not in ("skip", "per_layer")}
    return weights_alone(run.model, found, granularity=spec_of(prune), params=own)


def _save_recipe(run: Run, shares: Mapping[str, float], total: float) -> None:
    if run.folder is None or run.recipe.prune is None:
        return
    from engine.files import write_atomically

    prune = msgspec.structs.replace(
        run.recipe.prune, schedule=Part("one_shot"), target=Part("sparsity", {"sparsity": round(total, 4)})
    )
    title = f"{run.recipe.title or run.recipe.name}, with the shares it found"
    recipe = msgspec.structs.replace(run.recipe, name=f"{run.recipe.name}-shares", title=title, prune=prune)
    path = Path(run.folder) / "shares.yaml"
    write_atomically(path, to_yaml(recipe).encode())
    run.say(Saved(file=path.name, bytes=path.stat().st_size, what="a recipe with each layer's share"))


# ---- as a library --------------------------------------------------------------------------------------------------


def sensitivity(
    model: Any,
    data: Any,
    *,
    criterion: Any = "magnitude",
    granularity: str = "weight",
    sparsities: Sequence[float] = SPARSITIES,
    loss: Any = None,
    seed: int = 0,
    on_cell: Callable[[str, float, float], None] | None = None,
    **params: Any,
) -> Sensitivity:
    """Prunes each layer alone, without training, and judges the model each time. The model is left as it was.

    Args:
        model: a built Keras model.
        data: `(x, y)` arrays or a `tf.data.Dataset`: what is judged on, and scored on where the criterion needs data.
        criterion: its name or an instance.
        granularity: `weight`, `unit`, `block:RxC`.
        sparsities: at which each layer is tried.
        loss: for criteria that need one.
        seed: for criteria that draw.
        on_cell: told (layer, sparsity, metric) as the table fills.
        **params: of the criterion.

    Returns:
        The table; `.shares(drop)` says how far each layer can go, `.shares_for(sparsity)` how far for a total.

    Raises:
        PruneError: a name is unknown, or the data does not do.
    """
    from engine.running.feeding import Evaluation
    from engine.running.task import task_of

    x, y, classes = _arrays(data)
    task = task_of(model, classes=classes)
    evaluation = Evaluation(model, task, x, y)
    if granularity == "unit":
        from engine.scoring.units import score_units

        alone, sizes = units_alone(model, score_units(model, criterion, (x, y), loss=loss, seed=seed, **params))
    else:
        from engine.scoring.scores import score

        found = score(model, criterion, (x, y), loss=loss, seed=seed, **params)
        alone, sizes = weights_alone(model, found, granularity=granularity)
    _, dense = evaluation()
    table: dict[str, dict[float, float]] = {}
    for key in sizes:
        for sparsity in sparsities:
            value = _judged(model, alone(key, sparsity), lambda: evaluation()[1]) if sparsity else dense
            table.setdefault(key, {})[float(sparsity)] = value
            if on_cell is not None:
                on_cell(key, float(sparsity), value)
    return Sensitivity(metric=task.metric.name, direction=task.metric.direction, dense=dense, table=table, sizes=sizes)


def weights_alone(
    model: Any, scores: Mapping[str, Array], *, granularity: str, params: Mapping[str, Any] | None = None
) -> tuple[Alone, dict[str, int]]:
    """Masks of one kernel alone, and the kernels' sizes.

    Raises:
        PruneError: the granularity is n:m, which has one sparsity only.
    """
    from engine.choosing import choose

    if ":" in granularity and not granularity.startswith("block"):
        raise PruneError(f"granularity {granularity} has one sparsity only", todo="Use weight, unit or block:RxC")
    layouts = {key: kernel.layout for key, kernel in kernels(model).items()}

    def alone(key: str, sparsity: float) -> Masks:
        return choose(
            {key: scores[key]}, sparsity, granularity=granularity, scope="layer", layouts=layouts, **dict(params or {})
        )

    return alone, {key: int(value.size) for key, value in scores.items()}


def units_alone(model: Any, scores: Mapping[str, Array]) -> tuple[Alone, dict[str, int]]:
    """Masks of one layer's units alone (with all that is coupled to them), and how many each layer can lose."""
    from engine.surgery import kept_units, layer_units, unit_masks

    units = layer_units(model)
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    for key, layer in units.items():
        # Coupled layers lose their units together: they are one row, under the first layer's name.
        own = {int(g) for g, free in zip(layer.group, layer.free, strict=True) if free} - seen
        if key in scores and own:
            sizes[key] = len(own)
            seen |= own

    def alone(key: str, sparsity: float) -> Masks:
        masks: Masks = unit_masks(model, kept_units(units, {key: scores[key]}, sparsity))
        return masks

    return alone, sizes


def _judged(model: Any, masks: Masks, judge: Judge) -> float:
    with _masked(model, masks):
        return float(judge())


@contextmanager
def _masked(model: Any, masks: Masks) -> Iterator[None]:
    """Puts zeros where the masks say, for a while."""
    variables = variable_keys(model)
    before = {key: np.array(variables[key].numpy()) for key in masks}
    try:
        for key, mask in masks.items():
            variables[key].assign(np.where(mask, before[key], np.zeros((), before[key].dtype)))
        yield
    finally:
        for key, value in before.items():
            variables[key].assign(value)


def _arrays(data: Any) -> tuple[Array, Array, int]:
    from engine.measurement.answers import batches

    pairs = list(batches(data))
    if not pairs or any(y is None for _, y in pairs):
        raise DataError("sensitivity is judged with labels", todo="Pass (x, y) arrays or a dataset of pairs")
    if isinstance(pairs[0][0], list | dict | tuple):
        raise DataError("models with several inputs cannot be judged here", todo="Use a model with one input")
    x = np.concatenate([np.asarray(x) for x, _ in pairs])
    y = np.concatenate([np.asarray(y) for _, y in pairs])
    if y.ndim == 2 and y.shape[1] > 1 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        y = y.argmax(axis=1)
    if y.dtype.kind in "iub":
        y = y.reshape(-1).astype(np.int32)
        return x, y, int(y.max()) + 1
    return x, y.astype(np.float32), 0
