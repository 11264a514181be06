"""The live curves: one row a series, told apart by glyph and label, each with its number printed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.events import EpochEnded, as_float
from engine.session import Session
from tui.paint import numbers as n
from tui.paint.lines import Line, left, line, middle, right
from tui.paint.marks import bounds, logarithms, place, smooth, spark, widen

LABEL = 10  # cells; wider, up to the longest, where a method's own series have long names
LONGEST = 16
NUMBER = 8


@dataclass(frozen=True)
class View:
    """How the curves are looked at.

    Attributes:
        smoothing: weight of the past, 0 for none.
        log: loss on a logarithmic scale.
        cursor: the epoch (its index) whose numbers are printed; None for the last.
        overlay: an earlier session.
    """

    smoothing: float = 0.0
    log: bool = False
    cursor: int | None = None
    overlay: Session | None = None


@dataclass(frozen=True)
class Series:
    """One curve."""

    label: str
    glyph: str
    style: str
    values: list[float]
    said: Callable[[float], str]
    loss: bool = False
    low: float | None = None
    high: float | None = None
    others: list[float] = field(default_factory=list)


def series(session: Session) -> list[Series]:
    """The curves of a session: sparsity, accuracy, the dense control, loss, then what the method adds."""
    rows = session.epochs or session.control
    validation = _column(rows, lambda e: e.validation)
    dense = _column(session.control, lambda e: e.validation) if session.epochs else []
    low, high = bounds([*validation, *dense])
    out = [
        Series(
            "sparsity",
            "■",
            "pruned",
            [e.sparsity for e in session.epochs],
            n.percent,
            low=0.0,
            high=session.target_value,
        ),
        Series(session.metric.name.replace("_", " "), "●", "accuracy", validation, n.metric, low=low, high=high),
    ]
    if dense:
        out.append(Series("dense", "○", "quiet", dense, n.metric, low=low, high=high))
    out.append(Series("loss", "▲", "", _column(rows, lambda e: e.loss), n.loss, loss=True))
    names = dict.fromkeys(name for row in session.epochs for name in row.series)
    glyphs = "◆▼◇△□"
    for at, name in enumerate(names):
        values = [as_float(row.series.get(name)) for row in session.epochs]
        out.append(Series(_label(name), glyphs[at % len(glyphs)], "", values, n.any_number))
    return out


def points(session: Session) -> int:
    """How many epochs the curves have."""
    return len(session.epochs or session.control)


def paint(session: Session, width: int, height: int, view: View) -> list[Line]:
    """All curves in a width; two rows and more each where the height allows."""
    told = series(session)
    others = {s.label: s for s in series(view.overlay)} if view.overlay is not None else {}
    wanted = sum(2 if s.label in others else 1 for s in told)
    room = height - (view.cursor is not None)
    gap = room >= 3 * wanted - 1
    tall_rows = max(1, min(8, (room + gap) // max(1, wanted) - gap))
    expected = max(points(session), session.planned_epochs if session.epochs else session.phase_epochs, 1)
    label = min(LONGEST, max(LABEL, *(len(s.label) for s in told)))
    times = max(1, (width - label - NUMBER - 5) // expected)
    out: list[Line] = []
    if view.cursor is not None:
        rows = session.epochs or session.control
        number = rows[min(view.cursor, len(rows) - 1)].epoch if rows else 0
        out.append(line((f" at epoch {number}", "key"), ("   ← → move, esc leaves", "quiet")))
    for one in told:
        if gap and out:
            out.append(line(""))
        out += _rows(one, width, tall_rows, view, times, label)
        if one.label in others:
            earlier = others[one.label]
            quiet = Series("  earlier", "┊", "quiet", earlier.values, one.said, one.loss, one.low, one.high)
            out += _rows(quiet, width, tall_rows, view, times, label)
    return out


def _rows(one: Series, width: int, rows: int, view: View, times: int, label: int) -> list[Line]:
    room = max(4, width - label - NUMBER - 5)
    values = logarithms(one.values) if view.log and one.loss else one.values
    if view.smoothing:
        values = smooth(values, view.smoothing)
    text = spark(widen(values, times), room, rows=rows, low=one.low, high=one.high)
    at = len(one.values) - 1 if view.cursor is None else min(view.cursor, len(one.values) - 1)
    number = one.said(one.values[at]) if one.values else n.DASH
    mark = place(at * times, len(one.values) * times, room) if view.cursor is not None and one.values else -1
    out: list[Line] = []
    for index, row in enumerate(text):
        last = index == len(text) - 1
        name = f" {one.glyph} {left(one.label, label)}" if last else " " * (label + 3)
        chart: Sequence[tuple[str, str]] = [(row, one.style)]
        if mark >= 0:
            chart = [
                (row[:mark], one.style),
                (row[mark] if row[mark] != " " else "│", "key"),
                (row[mark + 1 :], one.style),
            ]
        out.append(
            (((name), one.style if last else ""), *chart, (right(number, NUMBER) if last else " " * NUMBER, "strong"))
        )
    return out


def _label(name: str) -> str:
    """`mean_column_norm dense_1` as `norm dense_1`: the layer's name must not be cut, and stays as it is."""
    words, _, layer = name.partition(" ")
    words = words.replace("_", " ")
    if not layer:
        return words
    short = {"mean column norm": "norm", "pq index": "PQ"}.get(words, words)
    return f"{short} {middle(layer, LONGEST - len(short) - 1)}"


def _column(rows: Sequence[EpochEnded], pick: Callable[[EpochEnded], object]) -> list[float]:
    return [_finite(pick(row)) for row in rows]


def _finite(value: object) -> float:
    number = n.known(value)
    return math.nan if number is None else number
