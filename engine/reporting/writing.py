"""One page for one session or many."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from engine.errors import PruneError
from engine.events import as_float
from engine.files import write_atomically
from engine.reporting.blocks import Block, Heading, Plot, Series, Table, Words
from engine.reporting.chapters import chapter
from engine.reporting.numbers import NONE, bytes_of, count, finite, number, ratio, share
from engine.reporting.pages import html, markdown
from engine.session import Session


def report(sessions: Sequence[Session], *, format: Literal["html", "md"] = "html", title: str = "") -> str:  # noqa: A002
    """The page's text.

    Args:
        sessions: what to report on, in this order. Several get an overview first: a table, plots against sparsity, and
            mean and standard deviation over runs that differ in nothing but their seed.
        format: `html` (one file, nothing from outside) or `md`.
        title: of the page; without one it is made from the sessions' names.

    Raises:
        PruneError: when there is no session.
    """
    if not sessions:
        raise PruneError("there is no session to report on", todo="Name one or more runs")
    title = title or (sessions[0].name if len(sessions) == 1 else f"{len(sessions)} runs")
    blocks: list[Block] = [Heading(title, 1)]
    if len(sessions) > 1:
        blocks += _overview(sessions)
    for session in sessions:
        if len(sessions) > 1:
            blocks.append(Heading(session.name))
        blocks += chapter(session)
    return html(title, blocks) if format == "html" else markdown(blocks)


def write_report(sessions: Sequence[str | Path | Session], path: str | Path, *, title: str = "") -> Path:
    """Writes the page, whole or not at all; the path's ending (`.html`, `.md`) says in which format.

    Args:
        sessions: sessions, session files or folders of runs.
        path: where to.
        title: of the page.

    Raises:
        PruneError: when a session cannot be read, or the ending is another one.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".html", ".htm", ".md"):
        raise PruneError("a report is HTML or Markdown", where=str(path), todo="Let its name end in .html or .md")
    loaded = [s if isinstance(s, Session) else Session.load(s) for s in sessions]
    text = report(loaded, format="md" if suffix == ".md" else "html", title=title)
    write_atomically(path, text.encode())
    return path


def _overview(sessions: Sequence[Session]) -> Iterator[Block]:
    metric = sessions[0].metric.name
    head = (
        "run",
        "seed",
        "state",
        "sparsity",
        f"{metric}, test",
        "dense control",
        "not zero",
        "packed",
        "measured speed-up",
    )
    rows = tuple(
        (
            s.name,
            str(s.recipe.get("seed", "")),
            s.state,
            share(s.sparsity) if s.counts.weights or s.counts.units else NONE,
            number(_metric(s.pruned)),
            number(_metric(s.dense)),
            count((s.pruned.get("counts") or {}).get("nonzero")),
            bytes_of((s.pruned.get("counts") or {}).get("bytes_compressed")),
            ratio(_speedup(s)),
        )
        for s in sessions
    )
    yield Table(head, rows, "Overview")
    groups: dict[str, list[Session]] = {}
    for s in sessions:
        groups.setdefault(_but_seed(s.recipe), []).append(s)
    # The same seed run again is the same number again: its last run counts.
    seeds = [list({s.recipe.get("seed"): s for s in g}.values()) for g in groups.values()]
    repeated = [g for g in seeds if len(g) > 1]
    if repeated:
        yield Table(
            ("recipe", "seeds", f"{metric}, mean", "standard deviation"),
            tuple(_spread(group) for group in repeated),
            "Over seeds",
        )
    yield from _plots(sessions, metric)
    if any(s.state != "done" for s in sessions):
        yield Words("Some of these runs are not done.", warning=True)


def _plots(sessions: Sequence[Session], metric: str) -> Iterator[Plot]:
    families: dict[str, list[Session]] = {}
    for s in sessions:
        prune: Any = s.recipe.get("prune")
        criterion = prune.get("criterion") if isinstance(prune, dict) else None
        name = str(criterion.get("name") if isinstance(criterion, dict) else criterion or "")
        families.setdefault(name, []).append(s)

    def series(value: Any) -> tuple[Series, ...]:
        return tuple(
            Series(name, tuple((s.sparsity, v) for s in group if (v := finite(value(s))) is not None))
            for name, group in families.items()
        )

    yield Plot(f"{metric} against sparsity", "sparsity", metric, series(lambda s: _metric(s.pruned)), percent_x=True)
    packed = series(lambda s: (s.pruned.get("counts") or {}).get("bytes_compressed"))
    yield Plot("Packed size against sparsity", "sparsity", "bytes", packed, percent_x=True)
    yield Plot("Measured speed-up against sparsity", "sparsity", "times", series(_speedup), percent_x=True)


def _spread(group: Sequence[Session]) -> tuple[str, ...]:
    # A run that was not measured has no number; one that came to NaN has one, and makes the mean so.
    values = [v for s in group if (v := _metric(s.pruned)) is not None]
    mean = statistics.fmean(values) if values else None
    deviation = statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None
    return group[0].name, str(len(group)), number(mean), number(deviation)


def _metric(values: dict[str, Any]) -> float | None:
    found = (values.get("metric") or {}).get("value")
    return None if found is None else as_float(found)


def _speedup(session: Session) -> float | None:
    rows = session.pruned.get("latency") or ()
    return next((float(r["speedup"]) for r in rows if r.get("speedup") is not None), None)


def _but_seed(recipe: dict[str, Any]) -> str:
    return json.dumps({k: v for k, v in recipe.items() if k != "seed"}, sort_keys=True, default=str)
