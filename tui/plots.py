"""What there is to plot: of one session (a sweep's points, layers, rounds, epochs, histograms), or of many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from textual.app import App

from engine.folders import Listed
from engine.reporting.blocks import Plot, Series
from engine.session import Session
from tui.paint import numbers as n
from tui.working import begin

MOST = 8
Point = tuple[float, float]


def show(app: App[Any], title: str, make: Callable[[], list[Plot]], folder: Path) -> None:
    """Opens the screen of plots. Its widget brings NumPy, so it is imported only now, and beside the loop."""

    async def opening() -> None:
        found = await asyncio.to_thread(import_module, "tui.screens.plots")
        app.push_screen(found.PlotsScreen(title, make, folder))

    begin(app, opening, group="plots", exclusive=True)


def of_session(session: Session) -> list[Plot]:
    """All plots of a session, what it was made for first."""
    metric = session.metric.name.replace("_", " ")
    out = _sweep(session.results.get("sweep"), session.metric.name)
    out += _sensitivity(session.results.get("sensitivity"), metric)
    out += _rounds(session.results.get("rounds"))
    out += _course(session, metric)
    out += _histograms(session.results.get("histograms"))
    return [plot for plot in out if any(s.points for s in plot.series)]


def of_sessions(runs: Sequence[Listed]) -> list[Plot]:
    """Accuracy, packed size and speed against sparsity: a mark a session, a kind of mark a family of presets."""
    families = list(dict.fromkeys(run.summary.family or "other" for run in runs))[:MOST]
    metric = next((run.summary.metric for run in runs), "accuracy").replace("_", " ")

    def points(pick: Any) -> tuple[Series, ...]:
        found = {family: [] for family in families}  # type: dict[str, list[Point]]
        for run in runs:
            value = n.known(pick(run.summary))
            if value is not None and (run.summary.family or "other") in found:
                found[run.summary.family or "other"].append((run.summary.sparsity, value))
        return tuple(Series(name, tuple(sorted(at)), joined=False) for name, at in found.items() if at)

    def accuracy(summary: Any) -> Any:
        return summary.validation if summary.pruned_metric is None else summary.pruned_metric

    return [
        plot
        for plot in (
            Plot(f"{metric} against sparsity", "gone", metric, points(accuracy), percent_x=True),
            Plot("packed size against sparsity", "gone", "kB", points(_kilobytes_of), percent_x=True),
            Plot("measured speed-up against sparsity", "gone", "times", points(lambda s: s.speedup), percent_x=True),
        )
        if plot.series
    ]


def _kilobytes_of(summary: Any) -> float | None:
    return summary.bytes_packed / 1000 if summary.bytes_packed else None


def _sweep(rows: Any, metric: str) -> list[Plot]:
    if not isinstance(rows, list | tuple) or not rows or not all(isinstance(r, Mapping) for r in rows):
        return []
    from tui.paint.sweep import Points

    kinds = Points(rows, metric)
    columns = [(metric, metric.replace("_", " "), "", 1.0), ("bytes", "packed size", "kB", 1e-3)]
    names = dict.fromkeys(k for row in rows for k in row)
    columns += [(k, f"time, batch {k.removeprefix('ms at ')}", "ms", 1.0) for k in names if k.startswith("ms at")]
    columns += [(k, f"time, {k.removesuffix(' ms')}", "ms", 1.0) for k in names if k.endswith(" ms")]
    out = []
    for column, title, unit, scale in columns:
        found: dict[str, list[Point]] = {}
        dense: list[Point] = []
        for row in rows:
            x, y = n.known(row.get("sparsity")), n.known(row.get(column))
            if x is not None and y is not None:
                found.setdefault(kinds.kind(row), []).append((x, y * scale))
            if column == metric and x is not None and (same := n.known(row.get("dense"))) is not None:
                dense.append((x, same))
        lines = [Series(name, tuple(sorted(at))) for name, at in list(found.items())[: MOST - 1]]
        lines += [Series("dense", tuple(sorted(set(dense))), dashed=True)] if dense else []
        out.append(Plot(f"{title} against sparsity", "gone", unit or title, tuple(lines), percent_x=True))
    return out


def _sensitivity(value: Any, metric: str) -> list[Plot]:
    table = value.get("table") if isinstance(value, Mapping) else None
    if not isinstance(table, Mapping):
        return []
    lines = tuple(
        Series(key.removesuffix("/kernel"), tuple(sorted(_points(row.items()))))
        for key, row in list(table.items())[:MOST]
        if isinstance(row, Mapping)
    )
    return [Plot(f"{metric}, each layer pruned alone", "gone of the layer", metric, lines, percent_x=True)]


def _rounds(rows: Any) -> list[Plot]:
    if not isinstance(rows, list | tuple) or not all(isinstance(r, Mapping) for r in rows):
        return []
    layers: dict[str, list[Point]] = {"all": _points((at, row.get("pq_index")) for at, row in enumerate(rows, 1))}
    for at, row in enumerate(rows, 1):
        for name, part in (row.get("layers") or {}).items():
            layers.setdefault(name, []).extend(_points([(at, part.get("pq_index"))]))
    kept = [
        Series(name.replace("_", " "), tuple(_points((at, row.get(name)) for at, row in enumerate(rows, 1))))
        for name in ("retained_bound", "kept")
    ]
    index = tuple(Series(name, tuple(points)) for name, points in list(layers.items())[:MOST])
    return [Plot("PQ index", "round", "PQ index", index), Plot("Weights kept", "round", "weights", tuple(kept))]


def _course(session: Session, metric: str) -> list[Plot]:
    rows = session.epochs
    lines = [Series("pruned", tuple(_points((at, e.validation) for at, e in enumerate(rows, 1))))]
    control = tuple(_points((at, e.validation) for at, e in enumerate(session.control, 1)))
    lines += [Series("dense control", control, dashed=True)] if control else []
    against = tuple(sorted(_points((e.sparsity, e.validation) for e in rows if e.sparsity)))
    gone = tuple(_points((at, e.sparsity) for at, e in enumerate(rows, 1)))
    loss = tuple(_points((at, e.loss) for at, e in enumerate(rows, 1)))
    return [
        Plot(f"validation {metric}", "epoch", metric, tuple(lines)),
        Plot(f"validation {metric} against sparsity, an epoch a mark", "gone", metric,
             (Series("epochs", against, joined=False),), percent_x=True),
        Plot("sparsity", "epoch", "gone", (Series("sparsity", gone),), percent_y=True),
        Plot("training loss", "epoch", "loss", (Series("loss", loss),)),
    ]  # fmt: skip


def _histograms(found: Any) -> list[Plot]:
    if not isinstance(found, Mapping):
        return []
    return [
        Plot(f"{key.removesuffix('/kernel')}: {name}", name, "how many",
             tuple(Series(side, _steps(part["edges"], part[side])) for side in ("before", "after")))
        for key, parts in found.items() for name, part in parts.items()
        if isinstance(part, Mapping) and {"edges", "before", "after"} <= set(part)
    ]  # fmt: skip


def _steps(edges: Sequence[Any], counts: Sequence[Any]) -> tuple[Point, ...]:
    """A histogram's outline, from edge to edge."""
    out: list[Point] = []
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        out += [(float(left), float(count)), (float(right), float(count))]
    return tuple(out)


def _points(pairs: Any) -> list[Point]:
    found = ((n.known(x), n.known(y)) for x, y in pairs)
    return [(x, y) for x, y in found if x is not None and y is not None]
