"""The tables of a run: epochs, layers, log, and any table that a method adds. All columns have fixed widths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from engine.events import LayerState, Number
from engine.session import LogLine, Session
from tui.paint import numbers as n
from tui.paint.lines import Line, clean, cut, left, length, line, middle, right, wrap
from tui.paint.marks import bar

MOST_EPOCHS = 1_000  # of a longer run the last; all of them are in its session
SHORT_PHASES = {"recovering": "recover", "training": "train", "pruning": "prune", "measuring": "measure"}


def epochs_head(session: Session, width: int) -> Line:
    """The head of the epoch table; a narrow one leaves out the training metric, a wide one has the time."""
    extra = "".join(right(name, 9) for name in _extra_names(session, width))
    name = {"accuracy": "acc"}.get(session.metric.name, session.metric.name[:5])
    train = right(name, 6) if width >= 44 else ""
    time = right("time", 7) if width >= 52 else ""
    head = f"{right('epoch', 6)}  {left('phase', 8)}{right('loss', 6)}{train}{right('val', 6)}{right('gone', 8)}"
    return line((head + extra + time, "heading"))


def epochs(session: Session, width: int) -> list[Line]:
    """One row an epoch, the dense control's first, the newest last."""
    names = _extra_names(session, width)
    rows = (*session.control, *session.epochs)[-MOST_EPOCHS:]
    return [
        _epoch(
            "dense" if row.control else SHORT_PHASES.get(row.phase, row.phase),
            row.epoch,
            (row.loss, row.metric, row.validation, None if row.control else row.sparsity),
            tuple(row.series.get(name) for name in names),
            row.seconds,
            width,
        )
        for row in rows
    ]


def _extra_names(session: Session, width: int) -> list[str]:
    room = (width - 52) // 9
    return list(dict.fromkeys(k for row in session.epochs[-1:] for k in row.series))[: max(0, room)]


@lru_cache(maxsize=2 * MOST_EPOCHS)  # a row never changes once it is there: each frame has one that is new
def _epoch(
    phase: str,
    epoch: int,
    numbers: tuple[Number | None, ...],
    more: tuple[Number | None, ...],
    seconds: float,
    width: int,
) -> Line:
    loss, metric, validation, sparsity = numbers
    return line(
        right(str(epoch), 6),
        (f"  {left(phase, 8)}", "quiet"),
        right(n.loss(loss), 6),
        (right(n.metric(metric), 6) if width >= 44 else "", "quiet"),
        (right(n.metric(validation), 6), "quiet" if sparsity is None else "accuracy"),
        (right(n.percent(sparsity), 8), "quiet" if sparsity is None else "pruned"),
        "".join(right(n.any_number(value), 9) for value in more),
        (right(f"{seconds:.1f} s", 7) if width >= 52 else "", "quiet"),
    )


def layer_name(key: str) -> str:
    """A kernel's key as its layer's name."""
    return key.removesuffix("/kernel")


def layers(session: Session, width: int) -> list[tuple[str, Line]]:
    """One row a prunable kernel: name, shape, bar, share gone, how many are left; more columns where they fit."""
    rows = session.layers
    if not rows:
        return []
    most = max(len(n.count(r.weights)) for r in rows)
    units = any(r.units_kept < r.units for r in rows) and width >= 44
    names = list(dict.fromkeys(k for r in rows for k in r.numbers))
    kept_width = 2 * most + 4
    shape_width = min(12, max(len(n.shape(r.shape)) for r in rows)) if width >= 34 else 0
    name_width = min(24, max(7, *(len(layer_name(r.key)) for r in rows)))
    fixed = 1 + shape_width + 8 + kept_width + (13 if units else 0)
    room = width - fixed - name_width - 1
    if room < 0 and shape_width:
        room, shape_width = room + shape_width, 0
    if room < 0:
        name_width, room = max(6, name_width + room), 0
    bars = min(28, room - 2) if room >= 8 else 0
    room -= bars + 2 if bars else 0
    numbers = names[: max(0, room) // 11]
    return [(r.key, _layer(r, name_width, shape_width, bars, most, numbers, units=units)) for r in rows]


def _layer(
    row: LayerState, name: int, shape: int, bars: int, most: int, numbers: Sequence[str], *, units: bool
) -> Line:
    gone = 1 - row.kept / row.weights if row.weights else 0.0
    style = "quiet" if row.protected and row.kept == row.weights else ""
    empty = row.weights > 0 and row.kept == 0
    of: list[tuple[str, str]] = [(f" {left(middle(layer_name(row.key), name), name)} ", style)]
    if shape:
        of.append((right(n.shape(row.shape), shape), "quiet"))
    if bars:
        of += [("  ", ""), *bar(gone, bars)]
    of.append((right(n.percent(gone), 8), "error" if empty else "pruned" if gone else "quiet"))
    of += [(right(n.count(row.kept), most + 1), style), (f" / {right(n.count(row.weights), most)}", "quiet")]
    if units:
        of.append((right(f"{row.units_kept}/{row.units} u", 13), "" if row.units_kept < row.units else "quiet"))
    of += [(right(n.any_number(row.numbers.get(k)), 11), "quiet") for k in numbers]
    return tuple(of)


def log(session: Session, width: int, most: int = 500) -> list[Line]:
    """The log, newest first; long lines go on below themselves."""
    out: list[Line] = []
    for entry in reversed(session.log):
        out += _log_line(entry, width)
        if len(out) >= most:
            break
    return out


@lru_cache(maxsize=2048)
def _log_line(entry: LogLine, width: int) -> tuple[Line, ...]:
    style = {"warning": "warning", "error": "error"}.get(entry.level, "")
    mark = "! " if entry.level == "warning" else ""
    first, *rest = wrap(mark + entry.words, max(8, width - 11), style=style)
    return (
        line((f" {n.time_of_day(entry.time)} ", "quiet"), *first),
        *(line(" " * 10, *more) for more in rest),
    )


def table(value: Any, width: int, *, most: int = 60) -> list[Line]:
    """Any plain value as lines: a list of mappings or a mapping of lists as a table, a mapping as names and values."""
    if isinstance(value, Mapping) and value and all(isinstance(v, list | tuple) for v in value.values()):
        count = max(len(v) for v in value.values())
        value = [{k: v[i] if i < len(v) else None for k, v in value.items()} for i in range(count)]
    if isinstance(value, list | tuple) and value and all(isinstance(v, Mapping) for v in value):
        return _grid(value, width, most)
    if isinstance(value, Mapping):
        return [line((f" {left(_title(k), 22)} ", "quiet"), cut_value(v)) for k, v in list(value.items())[:most]]
    if isinstance(value, list | tuple):
        return wrap(", ".join(map(cut_value, value[:most])), width, indent=" ")
    return wrap(cut_value(value), width, indent=" ")


def _grid(rows: Sequence[Mapping[str, Any]], width: int, most: int) -> list[Line]:
    """As many columns as fit whole; the others are named, never cut."""
    names = list(dict.fromkeys(k for row in rows for k in row))
    nested = {k for k in names if any(isinstance(row.get(k), Mapping | list | tuple) for row in rows)}
    names = sorted(names, key=lambda k: k in nested)  # a column of mappings is wide, and the last to be read
    cells = {k: [_cell(k, row.get(k)) for row in rows[:most]] for k in names}
    widths = {k: max(len(_title(k)), *map(len, cells[k])) for k in names}
    shown: list[str] = []
    for name in names:
        if 1 + sum(widths[k] + 2 for k in (*shown, name)) - 2 <= width or not shown:
            shown.append(name)
    out = [cut(line((" " + "  ".join(right(_title(k), widths[k]) for k in shown), "heading")), width)]
    for at in range(len(rows[:most])):
        out.append(cut(line(" " + "  ".join(right(cells[k][at], widths[k]) for k in shown)), width))
    if len(shown) < len(names):
        words = f"in session.yaml: {', '.join(_title(k) for k in names if k not in shown)}"
        out += wrap(words, width, style="quiet", most=2, indent=" ")
    if len(rows) > most:
        out.append(line((f" and {len(rows) - most} more rows, in session.yaml", "quiet")))
    return out


def _cell(name: str, value: Any) -> str:
    share = name in ("sparsity", "relative_error") and n.known(value) is not None
    return n.percent(value) if share else cut_value(value)


def cut_value(value: Any) -> str:
    """One cell of a table of unknown things."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return n.any_number(value)
    if value is None:
        return n.DASH
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {cut_value(v)}" for k, v in list(value.items())[:3])
    if isinstance(value, list | tuple):
        return f"{len(value)} values" if len(value) > 4 else ", ".join(map(cut_value, value))
    text = clean(str(value))
    return text if length(((text, ""),)) <= 40 else left(text, 40)


def _title(name: object) -> str:
    return str(name).replace("_", " ")
