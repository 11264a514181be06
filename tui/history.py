"""The list of sessions: sorted, filtered, and as lines. What is done to one (renamed, exported) is here as well."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.errors import PruneError
from engine.files import write_atomically
from engine.folders import Listed, name_of
from engine.session import Session
from tui.paint import numbers as n
from tui.paint.lines import Line, left, line, middle, right

_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-")
SORTS: dict[str, Callable[[Listed], Any]] = {
    "newest first": lambda run: -run.summary.created,
    "name": lambda run: name(run).lower(),
    "state": lambda run: (run.state, -run.summary.created),
    "most gone": lambda run: -run.summary.sparsity,
    "most accurate": lambda run: -(metric(run) or 0.0),
    "smallest": lambda run: run.summary.bytes_packed or 1 << 62,
}
_STYLES = {"done": "good", "failed": "error", "stopped": "warning"}


def name(run: Listed) -> str:
    """What a session is called: the end of its folder's name, which renaming changes."""
    return name_of(Path(run.folder))


def metric(run: Listed) -> float | None:
    """Its main metric: on test data where that was measured, else on validation data."""
    return n.known(run.summary.validation if run.summary.pruned_metric is None else run.summary.pruned_metric)


def chosen(runs: Sequence[Listed], *, words: str, sort: str) -> list[Listed]:
    """The runs that hold every word (in name, title, family or state), sorted."""
    wanted = words.lower().split()
    found = [
        run
        for run in runs
        if not wanted
        or all(w in f"{name(run)} {run.summary.title} {run.summary.family} {run.state}".lower() for w in wanted)
    ]
    return sorted(found, key=SORTS[sort])


def head(width: int) -> Line:
    """The head of the list."""
    return line(
        (f" {left('when', 12)} {left('name', _name_width(width))} {left('state', 9)}{_tail_head(width)}", "heading")
    )


def row(run: Listed, width: int) -> Line:
    """One session."""
    summary = run.summary
    when = time.strftime("%d %b %H:%M", time.localtime(summary.created)) if summary.created else ""
    dense, pruned = n.known(summary.dense_metric), n.known(summary.pruned_metric)
    change = None if dense is None or pruned is None else pruned - dense
    out = line(
        (f" {left(when, 12)} ", "quiet"),
        left(middle(name(run), _name_width(width)), _name_width(width)),
        (f" {left(run.state, 9)}", _STYLES.get(run.state, "pruned" if run.alive else "quiet")),
    )
    if width >= 48:
        out += ((right(n.percent(summary.sparsity), 8), "pruned"), (right(n.metric(metric(run)), 7), "accuracy"))
    if width >= 76:
        out += ((right(n.change(change) if change is not None else "", 7), "quiet"),)
        out += ((right(n.size(summary.bytes_packed) if summary.bytes_packed else "", 9), ""),)
    if width >= 96:
        out += ((right(n.times(summary.speedup) if summary.speedup else "", 7), ""),)
        out += ((right(n.clock(summary.updated - summary.created), 9), "quiet"),)
    return out


def _name_width(width: int) -> int:
    fixed = 1 + 12 + 1 + 1 + 9 + (15 if width >= 48 else 0) + (16 if width >= 76 else 0) + (16 if width >= 96 else 0)
    return max(8, width - fixed - 1)


def _tail_head(width: int) -> str:
    out = f"{right('gone', 8)}{right('metric', 7)}" if width >= 48 else ""
    out += f"{right('change', 7)}{right('packed', 9)}" if width >= 76 else ""
    return out + (f"{right('speed', 7)}{right('took', 9)}" if width >= 96 else "")


def rename(folder: Path, to: str) -> Path:
    """Gives an ended session another name; the time in front of it stays.

    Raises:
        PruneError: there is such a session already, or the folder cannot be renamed.
    """
    stamp = _STAMP.match(folder.name)
    target = folder.with_name(f"{stamp[0] if stamp else ''}{to}")
    if target.exists():
        raise PruneError(
            "there is a session of that name and time already", where=str(target), todo="Take another name."
        )
    try:
        return folder.rename(target)
    except OSError as error:
        raise PruneError(f"it cannot be renamed: {error.strerror}", where=str(folder)) from None


def wrong_name(text: str) -> str:
    """What is wrong with a session's new name, or ""."""
    if not text:
        return "write a name"
    return "" if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", text) else "letters, digits, . _ - only, at most 60"


def export(session: Session, folder: Path, kind: str) -> Path:
    """Writes a session for elsewhere, into `exports/` of its folder.

    Args:
        session: what to write.
        folder: the session's.
        kind: `yaml` (all of it), `csv` (one row an epoch), `python` (a script that repeats it, with its recipe).

    Returns:
        The file.
    """
    out = folder / "exports"
    if kind == "yaml":
        session.save(out / "session.yaml")
        return out / "session.yaml"
    if kind == "csv":
        write_atomically(out / "epochs.csv", epochs_csv(session).encode())
        return out / "epochs.csv"
    from engine.yaml12 import dump

    write_atomically(out / "repeat.yaml", dump(session.recipe).encode())
    write_atomically(out / "repeat.py", (_SCRIPT % _came_out(session)).encode())
    return out / "repeat.py"


def _came_out(session: Session) -> str:
    """What a repetition should come to."""
    measured = session.pruned.get("metric")
    value = n.known(measured.get("value")) if isinstance(measured, dict) else None
    told = f", test {session.metric.name} {value:.4f}" if value is not None else ""
    return f"{session.sparsity:.1%} gone{told}"


def epochs_csv(session: Session) -> str:
    """One row an epoch, the dense control's first."""
    rows = (*session.control, *session.epochs)
    extra = list(dict.fromkeys(k for row in rows for k in row.series))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["control", "epoch", "phase", "loss", session.metric.name, "validation", "sparsity", "seconds", *extra]
    )
    for one in rows:
        writer.writerow(
            [int(one.control), one.epoch, one.phase, one.loss, one.metric, one.validation, one.sparsity, one.seconds,
             *(one.series.get(k, "") for k in extra)]
        )  # fmt: skip
    return out.getvalue()


_SCRIPT = '''"""Repeats a prune-tui session: the recipe beside this file, run with the library.

It came to: %s.
"""

from pathlib import Path

import engine

if __name__ == "__main__":
    recipe = engine.load_recipe(Path(__file__).with_suffix(".yaml"))
    session = engine.run(recipe)
    metric = session.pruned.get("metric")
    print(
        f"{session.name}: {session.state}, {session.sparsity:.1%%} gone"
        + (f", test {session.metric.name} {metric['value']:.4f}" if metric else "")
    )
'''
