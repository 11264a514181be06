"""A sweep: one recipe at many points, one after the other in one run, with a row of the table after each.

Points share the dense model (it is trained once), and a run that was killed goes on with the next point.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from engine.errors import PruneError
from engine.events import Counts, LayersSeen, LayerState, Measured, Noted, PhaseBegan, Progress, Result, as_float
from engine.recipe import Recipe, to_plain
from engine.recipe_reading import recipe_from
from engine.running.context import Run
from engine.session import Session
from engine.yaml12 import Document

ROWS = "sweep"
SLACK = 0.01


def points(recipe: Recipe) -> list[dict[str, Any]]:
    """Every combination of the axes, the first axis slowest, as overrides by key."""
    axes = list(recipe.sweep)
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*recipe.sweep.values())]


def recipe_at(recipe: Recipe, point: Mapping[str, Any]) -> Recipe:
    """The recipe of one point."""
    plain = to_plain(recipe)
    plain.pop("sweep")
    prune = recipe.prune
    told_by_pattern = prune is not None and prune.granularity.name == "n:m" and prune.target.name == "sparsity"
    if told_by_pattern and _is_pattern(point.get("prune.granularity", "n:m")):
        plain["prune"].pop("target")  # it follows from the pattern, and another point may have another
    return recipe_from(Document(plain, {}, recipe.name), overrides=dict(point))


def _is_pattern(granularity: Any) -> bool:
    name = granularity.get("name") if isinstance(granularity, Mapping) else granularity
    return name == "n:m" or bool(re.fullmatch(r"\d+:\d+", str(name)))


def point_of(index: int, count: int) -> Callable[[Run], None]:
    """The stage of one point."""

    def act(run: Run) -> None:
        from engine.running.executing import execute

        point = points(run.recipe)[index]
        words = told(point)
        run.begin("pruning", f"point {index + 1} of {count}: {words}")
        session = Session()

        def hear(message: Any) -> None:
            nonlocal session
            session = session.apply(message)
            if isinstance(message, Progress):
                done = (index + message.share) / count
                run.show(msgspec.structs.replace(message, share=done, seconds_left=None))
            elif isinstance(message, PhaseBegan):
                run.show(Progress(phase=message.phase, share=index / count))
            elif isinstance(message, Noted) and message.level == "warning":
                run.note(f"{words}: {message.words}", warning=True)
            run.control.check()

        try:
            ended = execute(recipe_at(run.recipe, point), hear, control=run.control)
        except PruneError as error:
            # One point that cannot be had (surgery refuses an empty layer) does not take the table with it.
            run.note(f"{words}: {error}", warning=True)
            row: dict[str, Any] = {**flat(point), "state": "failed"}
        else:
            run.control.check()
            row = {**flat(point), **_row(session)}
            _keep_best(run, ended, session)
        run.memory[ROWS] = [*run.memory.get(ROWS, []), row]
        run.say(Result(name=ROWS, value=run.memory[ROWS]))

    return act


def flat(point: Mapping[str, Any]) -> dict[str, Any]:
    """A point as columns: last words of keys, groups of keys spread out."""
    columns: dict[str, Any] = {}
    last = Counter(key.rpartition(".")[2] for key in point)
    for key, value in point.items():
        word = key.rpartition(".")[2]
        short = word if last[word] == 1 and word != "name" else ".".join(key.split(".")[-2:])
        # Two keys may end alike (prune.criterion.name, prune.scope.name): as much is said as tells them apart.
        named = short if short not in columns else key
        columns |= value if isinstance(value, Mapping) else {named: value}
    return {("asked" if k == "sparsity" else k): str(v) if isinstance(v, Mapping) else v for k, v in columns.items()}


def told(point: Mapping[str, Any]) -> str:
    """A point in words: names alone, shares in percent: `l2_norm, unit, 25 % asked`."""

    def said(key: str, value: Any) -> str:
        if key == "asked" and isinstance(value, float | int):
            return f"{100 * value:.4g} % asked"
        return value if isinstance(value, str) else f"{key.replace('_', ' ')} {value}"

    return ", ".join(said(key, value) for key, value in flat(point).items())


def finish_sweep(run: Run) -> None:
    """Saves the model of the point that was kept, and tells what it measured."""
    from engine.running.finishing import save_model

    best = run.memory.get("best point")
    if best is None:
        raise PruneError("no point of the sweep came to an end", where="sweep", todo="See the warnings of each point")
    save_model(run)
    run.note(f"kept: {best['words']} (the sparsest within {SLACK:.0%} of the dense model, else the best)")
    layers = msgspec.convert(best["layers"], tuple[LayerState, ...])
    run.say(LayersSeen(layers=layers, counts=msgspec.convert(best["counts"], Counts)))
    for which in ("dense", "pruned"):
        run.say(Measured(which=which, values=best[which]))


def _keep_best(run: Run, ended: Run, session: Session) -> None:
    """The model of the sparsest point within a point of the dense one is the run's; else that of the best."""
    dense = as_float(session.dense.get("validation", "nan"))
    now = as_float(session.pruned.get("validation", "nan"))
    sign = 1 if session.metric.direction == "max" else -1
    near = sign * (now - dense) >= -SLACK
    rank = [1.0, session.sparsity] if near else [0.0, -math.inf if math.isnan(now) else sign * now]
    best = run.memory.get("best point")
    if best is None or rank > best["rank"]:
        run.take(ended.model)
        words = told(points(run.recipe)[run.stage])
        run.memory["best point"] = {
            "rank": rank, "words": words, "dense": session.dense, "pruned": session.pruned,
            "layers": msgspec.to_builtins(session.layers), "counts": msgspec.to_builtins(session.counts),
        }  # fmt: skip


def _row(session: Session) -> dict[str, Any]:
    """What a point came to: achieved sparsity, accuracy beside the dense one, size, time."""
    dense, pruned = session.dense, session.pruned
    row: dict[str, Any] = {
        "sparsity": session.sparsity,
        "validation": pruned.get("validation"),
        "dense": _at(dense, "metric", "value"),
        session.metric.name: _at(pruned, "metric", "value"),
        "loss": _at(pruned, "loss"),
        "parameters": session.counts.parameters_kept,
        "bytes": _at(pruned, "counts", "bytes_compressed"),
    }
    for latency in pruned.get("latency") or ():
        row[f"ms at {latency['batch_size']}"] = latency["median"]
        row[f"speed-up at {latency['batch_size']}"] = latency["speedup"]
    for runtime in session.results.get("runtimes") or ():
        row[f"{runtime['name']} ms"] = _at(runtime, "latency", "median")
    return row


def _at(values: Any, *path: str) -> Any:
    for step in path:
        values = values.get(step) if isinstance(values, dict) else None
    return values
