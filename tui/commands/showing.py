"""`show`: a session as a table, or as the YAML it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from engine import folders
from engine.session import Session

WIDE = 80
MOST = 10
"""So many classes are shown, those that lost most."""


def show(*, name: str, runs: Path | None, as_yaml: bool) -> int:
    """Prints a session."""
    folder = folders.find(name, runs=runs)
    if as_yaml:
        print((folder / "session.yaml").read_text(encoding="utf-8"), end="")  # noqa: T201 - a command's output
        return 0
    from engine.recipe_reading import recipe_from
    from engine.sentence import sentence
    from engine.yaml12 import Document

    session = Session.load(folder)
    console = Console(markup=False)
    ended = ": ".join(filter(None, [session.state, session.where, session.words]))
    console.print(
        f"{session.name or folder.name}   {ended}{'. ' + session.todo if session.todo else ''}", highlight=False
    )
    if session.recipe:
        console.print(sentence(recipe_from(Document(session.recipe, {}))), highlight=False)
    for warning in session.warnings:
        console.print(f"warning: {warning}", highlight=False)
    found = summary(session)
    if found.row_count:
        console.print(found)
    comparison = session.pruned.get("comparison")
    if comparison:
        for line in certainty(comparison):
            console.print(line, highlight=False)
    if session.layers:
        console.print(layers(session))
    if comparison and comparison.get("classes"):
        console.print(classes(comparison["classes"]))
        if (more := len(comparison["classes"]) - MOST) > 0:
            console.print(f"{more:,} more classes are in the YAML (--yaml)", highlight=False)
    for title, value in session.results.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            console.print(*rows_table(title, value), sep="\n", highlight=False)
        elif title == "sensitivity" and isinstance(value, dict) and value.get("table"):
            console.print(*sensitivity(value), sep="\n", highlight=False)
    for file, what in session.files.items():
        console.print(f"{folder / file}   {what}", soft_wrap=True, highlight=False)
    console.print(str(folder / "session.yaml"), soft_wrap=True, highlight=False)
    return 0


def report(*, names: tuple[str, ...], output: Path, title: str, runs: Path | None) -> int:
    """Writes a report of one run or many."""
    from engine.reporting import write_report

    print(write_report(list(dict.fromkeys(folders.find(name, runs=runs) for name in names)), output, title=title))  # noqa: T201
    return 0


def summary(session: Session) -> Table:
    """What was gained and what it cost: dense beside pruned."""
    table = Table("", "dense", "pruned", "", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    dense, pruned = session.dense, session.pruned
    for part, path in (("test", ("metric", "value")), ("validation", ("validation",))):
        values = (_at(dense, *path), _at(pruned, *path))
        if values != (None, None):
            table.add_row(f"{part} {session.metric.name}", _number(values[0]), _number(values[1]), _change(*values))
    broken = _at(session.before_recovery, "validation")
    if broken is not None:
        table.add_row("  before any repair", "", _number(broken), "")
    counts = session.counts
    target = f"of {session.target_value:.1%} asked" if session.target_value is not None else ""
    if counts.parameters:
        table.add_row(f"sparsity ({session.denominator})", "", f"{session.sparsity:.1%}", target)
        table.add_row(
            "parameters",
            f"{counts.parameters:,}",
            f"{counts.parameters_kept:,}",
            _ratio(counts.parameters, counts.parameters_kept),
        )
    for label, key in (("bytes raw", "bytes_raw"), ("bytes packed", "bytes_compressed")):
        values = (_at(dense, "counts", key), _at(pruned, "counts", key))
        if values != (None, None):
            table.add_row(label, _whole(values[0]), _whole(values[1]), _ratio(*values))
    before = {r["batch_size"]: r for r in _at(dense, "latency") or _at(pruned, "reference", "latency") or ()}
    for row in _at(pruned, "latency") or ():
        first = before.get(row["batch_size"])
        table.add_row(
            f"milliseconds, batch {row['batch_size']}",
            f"{first['median']:.3f}" if first else "",
            f"{row['median']:.3f}",
            _speed(row),
        )
    return table


def certainty(comparison: dict[str, Any]) -> list[str]:
    """How sure the change of accuracy is, and how often both models answer the same."""
    out = []
    seen = comparison.get("accuracy") or {}
    low, high, samples = (seen.get(key) for key in ("low", "high", "samples"))
    if all(isinstance(value, int | float) for value in (low, high, samples)):
        out.append(f"the change is between {low:+.4f} and {high:+.4f}, with 95 % confidence ({samples:,} test inputs)")
    agreement = comparison.get("agreement")
    if isinstance(agreement, int | float):
        out.append(
            f"both models answer the same for {agreement:.1%} of them" if out else f"same answers: {agreement:.1%}"
        )
    return out


def classes(rows: list[dict[str, Any]]) -> Table:
    """Which classes paid: how many of each are recognised, the ones that lost most first."""
    table = Table("class", "dense", "pruned", "change", "95 % confidence", "inputs", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    found = [(row.get("label"), row.get("recall") or {}) for row in rows]
    found = [(label, r) for label, r in found if isinstance(r.get("difference"), int | float)]
    for label, r in sorted(found, key=lambda item: item[1]["difference"])[:MOST]:
        low, high = (f"{r[k]:+.3f}" if isinstance(r.get(k), int | float) else "" for k in ("low", "high"))
        before, after = (_number(r.get(k)) for k in ("before", "after"))
        table.add_row(
            str(label), before, after, f"{r['difference']:+.4f}", f"{low} to {high}", str(r.get("samples", ""))
        )
    return table


def _speed(row: dict[str, Any]) -> str:
    """The speed-up and its interval: calls are timed in turns, so it need not be the ratio of the two medians."""
    speed, low, high = (row.get(key) for key in ("speedup", "speedup_low", "speedup_high"))
    between = f" ({low:.2f}-{high:.2f})" if low is not None and high is not None else ""
    return "" if speed is None else f"{speed:.2f}x speed{between}"


def layers(session: Session) -> Table:
    """What is left of every layer."""
    table = Table("layer", "shape", "kept", "of", "sparsity", "units", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in session.layers:
        gone = 1 - row.kept / row.weights if row.weights else 0.0
        shape = "x".join(map(str, row.shape))
        table.add_row(
            row.key, shape, f"{row.kept:,}", f"{row.weights:,}", f"{gone:.1%}", f"{row.units_kept} of {row.units}"
        )
    return table


def sensitivity(value: dict[str, Any]) -> tuple[str, Table]:
    """The metric with each layer pruned alone, a column for each share that goes."""
    steps = [f"{step:g}" for step in value.get("sparsities") or ()]
    said = f"{value.get('metric', 'metric')} with one layer pruned alone, by the share of it that is gone"
    table = Table("layer", *(f"{float(step):.0%}" for step in steps))
    table.box, table.padding, table.pad_edge = None, (0, 1, 0, 0), False
    for column in table.columns[1:]:
        column.justify = "right"
    for key, row in value["table"].items():
        cells = (row.get(step) for step in steps)
        table.add_row(str(key), *(f"{v:.3f}" if isinstance(v, int | float) else "" for v in cells))
    return said, table


def rows_table(name: str, rows: list[dict[str, Any]]) -> list[str | Table]:
    """The title and the tables that a method added to the session; nested values are left to the YAML.

    What is the same in every row stands beside the title, a column that repeats another is left out, and what is wider
    than 80 characters goes on in a table below, which begins with the columns that tell the rows apart.
    """
    names = [
        k for k in dict.fromkeys(k for row in rows for k in row) if not any(isinstance(r.get(k), dict) for r in rows)
    ]
    values = {k: [_cell(row.get(k)) for row in rows] for k in names}
    same = [k for k in names if len(rows) > 1 and len(set(values[k])) == 1]
    columns: list[str] = []
    for k in names:
        if k not in same and not any(values[k] == values[c] for c in columns):
            columns.append(k)
    heads = {k: k.replace("_", " ") for k in names}
    told = (f"{heads[k]} {values[k][0]}" for k in same if values[k][0])
    before = names[: names.index("sparsity")] if "sparsity" in names else names[:1]  # of a sweep: its axes
    first = [k for k in columns if k in before] or columns[:1]
    widths = {k: max(map(len, [*heads[k].split(), *values[k]])) for k in columns}
    chunks = [list(first)]
    for k in (k for k in columns if k not in first):
        if len(chunks[-1]) > len(first) and sum(widths[c] + 2 for c in (*chunks[-1], k)) - 2 > WIDE:
            chunks.append(list(first))
        chunks[-1].append(k)
    return [", ".join([name.replace("_", " "), *told]), *(_table(chunk, heads, widths, rows) for chunk in chunks)]


def _table(columns: list[str], heads: dict[str, str], widths: dict[str, int], rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for key in columns:
        number = any(isinstance(row.get(key), int | float) for row in rows)
        table.add_column(
            heads[key], min_width=widths[key], max_width=widths[key], justify="right" if number else "left"
        )
    for row in rows:
        table.add_row(*map(_cell, map(row.get, columns)))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def _at(values: Any, *path: str) -> Any:
    for step in path:
        values = values.get(step) if isinstance(values, dict) else None
    return values


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else str(value or "")


def _whole(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _change(dense: Any, pruned: Any) -> str:
    both = isinstance(dense, int | float) and isinstance(pruned, int | float)
    return f"{pruned - dense:+.4f}" if both else ""


def _ratio(dense: float | None, pruned: float | None) -> str:
    if not dense or not pruned:
        return ""
    return "same" if dense == pruned else f"{dense / pruned:.1f}x smaller"
