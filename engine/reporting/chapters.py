"""What a session says, chapter by chapter, as blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.events import as_float
from engine.reporting.blocks import Block, Code, Heading, Plot, Series, Table, Words
from engine.reporting.numbers import bytes_of, count, milliseconds, number, ratio, share
from engine.reporting.results import results
from engine.session import Session


def chapter(session: Session) -> Iterator[Block]:
    """All of one session, without its heading."""
    yield from _what(session)
    yield from _result(session)
    yield from _comparison(session)
    yield from _course(session)
    yield from _layers(session)
    yield from results(session)
    yield from _repeat(session)


def _what(session: Session) -> Iterator[Block]:
    title = str(session.recipe.get("title", ""))
    if title:
        yield Words(title)
    words = _sentence(session.recipe)
    if words:
        yield Words(words)
    if session.state != "done":
        told = [f"This run is not done: {session.state}.", session.words, session.where, session.todo]
        yield Words(" ".join(t if t.endswith(".") else f"{t}." for t in told if t), warning=True)
    for warning in session.warnings:
        yield Words(warning, warning=True)


def _sentence(recipe: Mapping[str, Any]) -> str:
    from engine.errors import PruneError
    from engine.recipe_reading import recipe_from
    from engine.sentence import sentence
    from engine.yaml12 import dump, parse

    try:
        return sentence(recipe_from(parse(dump(dict(recipe)))))
    except PruneError:
        return ""  # a recipe of another version: its YAML is below all the same


def _result(session: Session) -> Iterator[Block]:
    columns = {
        name: values
        for name, values in (
            ("dense", session.dense),
            ("before recovery", session.before_recovery),
            ("pruned", session.pruned),
        )
        if values
    }
    if not columns:
        return
    rows: list[tuple[str, ...]] = []

    def row(name: str, get: Any, form: Any) -> None:
        values = [get(v) for v in columns.values()]
        if any(v is not None for v in values):
            rows.append((name, *(form(v) for v in values)))

    metric = session.metric.name
    row(f"{metric}, test", lambda v: _deep(v, "metric", "value"), number)
    row("top-5", lambda v: v.get("top5"), share)
    row("loss, test", lambda v: v.get("loss"), number)
    row(f"{metric}, validation", lambda v: v.get("validation"), number)
    for key, name in (
        ("parameters", "parameters"),
        ("nonzero", "of them not zero"),
        ("prunable", "prunable weights"),
        ("prunable_nonzero", "of them not zero"),
        ("units", "units"),
        ("units_alive", "of them alive"),
    ):
        row(name, lambda v, key=key: _deep(v, "counts", key), count)
    for key, name in (
        ("bytes_raw", "size in memory"),
        ("bytes_nonzero", "of non-zeros"),
        ("bytes_compressed", "packed"),
    ):
        row(name, lambda v, key=key: _deep(v, "counts", key), bytes_of)
    row("FLOPs", lambda v: v.get("flops"), count)
    row("FLOPs without zeros", lambda v: v.get("effective_flops"), count)
    yield Table(("", *columns), tuple(rows), "What is left, and what it can do")
    yield from _speed(session)


def _speed(session: Session) -> Iterator[Block]:
    latency = session.pruned.get("latency") or ()
    control = {r.get("batch_size"): r for r in _deep(session.pruned, "reference", "latency") or ()}
    if not latency:
        return
    rows = []
    for r in latency:
        dense = control.get(r.get("batch_size"), {})
        rows.append(
            (
                f"batch {r.get('batch_size')}",
                milliseconds(dense.get("median")),
                milliseconds(r.get("median")),
                f"{milliseconds(r.get('low'))} to {milliseconds(r.get('high'))}",
                ratio(r.get("speedup")),
                ratio(session.pruned.get("theoretical_speedup")),
            )
        )
    said = session.pruned
    where = f"{said.get('runtime', '')}, {said.get('threads', '?')} threads, {said.get('device', '')}"
    head = ("one call", "dense, ms", "pruned, ms", "middle half", "measured speed-up", "theoretical (FLOPs)")
    yield Table(head, tuple(rows), f"Time: {where}")


def _comparison(session: Session) -> Iterator[Block]:
    found = session.pruned.get("comparison")
    if not found:
        return
    accuracy = found.get("accuracy") or {}
    said = f"Both models predict the same class on {share(found.get('agreement'))} of the test inputs."
    if accuracy:
        said += (
            f" Accuracy changed by {_points(accuracy.get('difference'))}, with {found.get('confidence', 0.95):.0%} "
            f"confidence between {_points(accuracy.get('low'))} and {_points(accuracy.get('high'))} "
            f"({found.get('method', '')}); only the dense one has {found.get('lost', 0)} inputs right, only the pruned "
            f"one {found.get('gained', 0)} "
            f"(McNemar's exact p = {number(found.get('p_value'))})."
        )
    yield Words(said)
    rows = tuple(
        (
            str(c.get("label")),
            share(_deep(c, "recall", "before")),
            share(_deep(c, "recall", "after")),
            _points(_deep(c, "recall", "difference")),
            f"{_points(_deep(c, 'recall', 'low'))} to {_points(_deep(c, 'recall', 'high'))}",
            count(_deep(c, "recall", "samples")),
        )
        for c in found.get("classes") or ()
    )
    if rows:
        yield Table(("class", "dense", "pruned", "change", "confidence interval", "inputs"), rows, "Which classes lost")


def _course(session: Session) -> Iterator[Block]:
    def points(rows: Sequence[Any], name: str) -> tuple[tuple[float, float], ...]:
        return tuple((i + 1.0, y) for i, row in enumerate(rows) if math.isfinite(y := as_float(getattr(row, name))))

    if not session.epochs:
        return
    metric = session.metric.name
    series = [Series("pruned", points(session.epochs, "validation"))]
    if session.control:
        series.append(Series("dense control", points(session.control, "validation"), dashed=True))
    yield Plot(f"Validation {metric}", "epoch", metric, tuple(series))
    yield Plot("Training loss", "epoch", "loss", (Series("", points(session.epochs, "loss")),))
    yield Plot("Sparsity", "epoch", "sparsity", (Series("", points(session.epochs, "sparsity")),), percent_y=True)
    rows = tuple(
        (
            str(i + 1),
            row.phase,
            number(row.loss),
            number(row.metric),
            number(row.validation),
            share(row.sparsity),
            f"{row.seconds:.1f}",
        )
        for i, row in enumerate(session.epochs)
    )
    yield Table(
        ("epoch", "phase", "loss", f"{metric}, training", f"{metric}, validation", "sparsity", "s"), rows, "Epochs"
    )
    if session.decisions:
        decided = tuple((str(d.epoch), d.layer, d.kind, d.verdict, d.words) for d in session.decisions)
        yield Table(("epoch", "layer", "kind", "verdict", "in words"), decided, "Decisions")


def _layers(session: Session) -> Iterator[Block]:
    if not session.layers:
        return
    rows = tuple(
        (
            layer.key,
            " x ".join(str(n) for n in layer.shape),
            count(layer.weights),
            count(layer.kept),
            share(1 - layer.kept / layer.weights if layer.weights else 0.0),
            f"{layer.units_kept} of {layer.units}" if layer.units else "",
        )
        for layer in session.layers
    )
    yield Table(("kernel", "shape", "weights", "kept", "sparsity", "units kept"), rows, "Layer by layer")


def _repeat(session: Session) -> Iterator[Block]:
    from engine.yaml12 import dump

    if session.environment:
        yield Table(
            ("where it ran", ""),
            tuple((k, str(v)) for k, v in session.environment.items() if not isinstance(v, dict)),
            "",
        )
    yield Heading("How to repeat it", 3)
    yield Words("Save this as recipe.yaml and run: prune-tui run recipe.yaml")
    yield Code(dump(session.recipe))


def _deep(values: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(values, Mapping):
            return None
        values = values.get(key)
    return values


def _points(value: Any) -> str:
    return "-" if value is None else f"{100 * float(value):+.2f} points"
