"""The tables that a method adds to a session: a sweep's points, a search's trials, rounds, sensitivity, runtimes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.reporting.blocks import Block, Plot, Series, Table, Words
from engine.reporting.numbers import NONE, count, finite, milliseconds, number, ratio, share
from engine.session import Session


def results(session: Session) -> Iterator[Block]:
    """All of them, in the order in which they were told."""
    for name, value in session.results.items():
        if name == "runtimes" and isinstance(value, list):
            yield _runtimes([row for row in value if isinstance(row, dict)])
        elif name == "sensitivity" and isinstance(value, dict):
            yield from _sensitivity(value)
        elif name == "agreement":
            yield Words(f"Predicts the same class as the dense model on {share(value)} of the validation inputs.")
        elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            yield from _rows(name, value, session.metric.name)


def _runtimes(rows: Sequence[Mapping[str, Any]]) -> Table:
    made = tuple(
        (
            str(r.get("title", "")),
            str(r.get("threads", "")),
            milliseconds(_deep(r, "latency", "median")),
            ratio(_deep(r, "latency", "speedup")),
            number(r.get("difference")),
            str(r.get("missing", "")),
        )
        for r in rows
    )
    return Table(("runtime", "threads", "ms", "of TensorFlow", "difference", "why not"), made, "Runtimes")


def _sensitivity(value: Mapping[str, Any]) -> Iterator[Block]:
    table, steps = value.get("table"), [f"{s:g}" for s in value.get("sparsities") or ()]
    if not isinstance(table, dict) or not table:
        return
    rows = tuple((str(key), *(number(row.get(s)) for s in steps)) for key, row in table.items())
    head = ("kernel", *(f"{float(s):.0%} gone" for s in steps))
    yield Table(head, rows, f"{value.get('metric', 'metric')} with one layer pruned alone (dense {_dense(value)})")


def _dense(value: Mapping[str, Any]) -> str:
    return number(value.get("dense"))


def _rows(name: str, rows: Sequence[Mapping[str, Any]], metric: str) -> Iterator[Block]:
    names = dict.fromkeys(key for row in rows for key in row)
    columns = [k for k in names if not any(isinstance(row.get(k), dict | list) for row in rows)]
    title = name.replace("_", " ").capitalize()
    told = tuple(tuple(_cell(key, row.get(key)) for key in columns) for row in rows)
    yield Table(tuple(key.replace("_", " ") for key in columns), told, title)
    judged = metric if any(metric in row for row in rows) else "validation"
    points = tuple(
        (x, y)
        for row in rows
        if (x := finite(row.get("sparsity"))) is not None and (y := finite(row.get(judged))) is not None
    )
    if len(points) > 1:
        said = f"{title}: {judged} against sparsity"
        yield Plot(said, "sparsity", judged, (Series("", points, joined=False),), percent_x=True)


def _cell(key: str, value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key == "sparsity":
        return share(value)
    if isinstance(value, int):
        return count(value)
    return number(value) if isinstance(value, float) else str(value)


def _deep(values: Any, *keys: str) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
