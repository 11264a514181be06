"""A sweep's rows: accuracy against what was asked as a chart, one mark a kind, and a table with a column for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tui.paint import numbers as n
from tui.paint.lines import Line, left, line, right, wrap

MARKS, STYLES = "●■▲◆▼○□△", ("accuracy", "pruned", "strong", "warning")
Row = Mapping[str, Any]


def is_sweep(value: Any) -> bool:
    """Whether a result is the table of a sweep."""
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, Mapping) for row in value)


class Points:
    """The rows of a sweep by kind and by place on its axis.

    Attributes:
        axis: the column that is drawn to the right: `asked` where there is one, else the number of the point.
        kinds: the words that tell the kinds apart, in the order in which they came.
        places: the values of the axis, in order.
    """

    def __init__(self, rows: Sequence[Row], metric: str) -> None:
        self.metric = metric
        own = list(dict.fromkeys(k for row in rows for k in _point(row)))
        self.axis = "asked" if "asked" in own else next((k for k in own if _numeric(rows, k)), "")
        others = [k for k in own if k != self.axis and len({str(row.get(k)) for row in rows}) > 1]
        others = others or [k for k in own if k == "granularity"]  # of the first kind, while it is the only one
        whole = {tuple(str(row.get(k)) for k in others) for row in rows}
        alone = [
            k for k in ("granularity", *others) if k in others and len({str(r.get(k)) for r in rows}) == len(whole)
        ]
        self.columns = alone[:1] or others
        self.rows: dict[tuple[str, Any], Row] = {}
        self.kinds: list[str] = []
        for at, row in enumerate(rows):
            kind, place = self.kind(row), row.get(self.axis, at)
            if kind not in self.kinds:
                self.kinds.append(kind)
            self.rows.setdefault((kind, place), row)
        self.places = sorted({place for _, place in self.rows}, key=lambda p: (n.known(p) is None, n.known(p), str(p)))

    def kind(self, row: Row) -> str:
        """What a row is, in words."""
        said = (str(row.get(k)) if isinstance(row.get(k), str) else f"{k} {row.get(k)}" for k in self.columns)
        return " ".join(said) or self.metric.replace("_", " ")

    def value(self, kind: str, place: Any, column: str = "") -> float | None:
        """A number of a point: the test metric (else the validation one) where no column is named."""
        row = self.rows.get((kind, place), {})
        if column:
            return n.known(row.get(column))
        tested = n.known(row.get(self.metric))
        return n.known(row.get("validation")) if tested is None else tested

    def place(self, place: Any) -> str:
        """A place on the axis as it was asked."""
        if self.axis == "asked" and n.known(place) is not None and 0 <= float(place) <= 1:
            return n.share(place)
        return n.any_number(place) if n.known(place) is not None else str(place)

    def mark(self, kind: str) -> tuple[str, str]:
        """The glyph of a kind and its style."""
        at = self.kinds.index(kind)
        return MARKS[at % len(MARKS)], STYLES[at % len(STYLES)]


def chart(rows: Sequence[Row], metric: str, width: int, height: int) -> list[Line]:
    """Accuracy upwards, what was asked to the right, evenly spaced; a mark a kind, a line for the dense model."""
    points = Points(rows, metric)
    values = [v for k in points.kinds for p in points.places if (v := points.value(k, p)) is not None]
    dense = next((v for row in rows if (v := n.known(row.get("dense"))) is not None), None)
    if not values or width < 24:
        return []
    low, high = min(values), max([*values, *([dense] if dense is not None else [])])
    span = (high - low) or 1.0
    legend: list[tuple[str, str]] = [(" ", "")]
    for kind in points.kinds:
        glyph, style = points.mark(kind)
        legend += [(f"{glyph} ", style), (f"{kind}  ", "")]
    if dense is not None:
        legend.append((f"┄ dense {n.metric(dense)}", "quiet"))
    tall = max(4, min(14, height - 2))
    gutter = 7
    each = max(1, (width - gutter - 1) // max(1, len(points.places)))
    grid: list[list[tuple[str, str]]] = [[(" ", "")] * (each * len(points.places)) for _ in range(tall)]
    if dense is not None:
        at = _row(dense, low, span, tall)
        grid[at] = [("┄", "rest")] * len(grid[at])
    for number, place in enumerate(points.places):
        met: dict[int, int] = {}
        for kind in points.kinds:
            value = points.value(kind, place)
            if value is None:
                continue
            at = _row(value, low, span, tall)
            beside = [*range(each // 2, each), *range(each // 2)]  # beside each other where they meet
            column = number * each + beside[min(met.get(at, 0), each - 1)]
            met[at] = met.get(at, 0) + 1
            grid[at][column] = points.mark(kind)
    out: list[Line] = [tuple(legend)]
    for at, cells in enumerate(grid):
        label = n.metric(high) if at == 0 else n.metric(low) if at == tall - 1 else ""
        out.append((*line((right(label, gutter - 2), "quiet"), ("│ ", "rest")), *cells))
    ticks = [points.place(p).removesuffix(" %") for p in points.places]
    room = max(len(t) for t in ticks) + 1
    shown = [t if each >= room or i % (room // each + 1) == 0 else "" for i, t in enumerate(ticks)]
    foot = "".join(t[: each - 1].center(each) if each > len(t) else t.ljust(each) if t else " " * each for t in shown)
    unit = " %" if points.axis == "asked" else ""
    return [*out, line((" " * gutter + foot.rstrip() + unit, "quiet"))]


def table(rows: Sequence[Row], metric: str, width: int) -> list[Line]:
    """One row a place on the axis: the metric of every kind, then size and time where there is room for them."""
    points = Points(rows, metric)
    first = max(6, len(points.axis) + 1, *(len(points.place(p)) for p in points.places)) + 1
    kinds = len(points.kinds)
    least = max(7, *(min(14, len(k) + 3) for k in points.kinds))
    blocks = [("", metric.replace("_", " "), n.metric)]
    blocks += [(c, t, s) for c, t, s in _costs(rows) if any(n.known(row.get(c)) is not None for row in rows)]
    widths = [max(least, -(-(len(title) + 2) // kinds)) for _, title, _ in blocks]  # titles are never cut
    fit = next((at for at in range(len(blocks), 1, -1) if first + kinds * sum(widths[:at]) < width), 1)
    blocks, left_out = blocks[:fit], blocks[fit:]
    heads = [(" " * first, "")]
    names: list[tuple[str, str]] = [(right(points.axis, first), "heading")]
    for (_, title, _), each in zip(blocks, widths, strict=False):
        heads.append((right(title, each * kinds), "heading"))
        for kind in points.kinds:
            glyph, style = points.mark(kind)
            names.append((right(f"{glyph} {left(kind, each - 3).rstrip()}", each), style))
    out: list[Line] = [tuple(heads), tuple(names)]
    for place in points.places:
        cells: list[tuple[str, str]] = [(right(points.place(place), first), "quiet")]
        for (column, _, said), each in zip(blocks, widths, strict=False):
            for kind in points.kinds:
                failed = points.rows.get((kind, place), {}).get("state") == "failed"
                value = points.value(kind, place, column)
                there = (kind, place) in points.rows
                text = "failed" if failed and not column else said(value) if there and value is not None else ""
                cells.append((right(text, each), "error" if failed else "" if column else "strong"))
        out.append(tuple(cells))
    if left_out:
        names_left = ", ".join(title for _, title, _ in left_out)
        out += wrap(f"in session.yaml: {names_left}", width, style="quiet", indent=" ", most=3)
    return out


def _costs(rows: Sequence[Row]) -> list[tuple[str, str, Any]]:
    names = dict.fromkeys(k for row in rows for k in row)
    out = [("bytes", "packed", n.size)]
    out += [(k, k, n.times) for k in names if k.startswith("speed-up")]
    out += [(k, k, n.milliseconds) for k in names if k.endswith(" ms") or k.startswith("ms ")]
    return [*out, ("loss", "loss", n.loss), ("sparsity", "sparsity", n.percent)]


def _point(row: Row) -> list[str]:
    """The columns that say which point it is: those before what it came to."""
    names = list(row)
    ends = [names.index(k) for k in ("sparsity", "state") if k in names]
    return names[: min(ends)] if ends else names


def _numeric(rows: Sequence[Row], name: str) -> bool:
    return len({row.get(name) for row in rows}) > 1 and all(n.known(row.get(name)) is not None for row in rows)


def _row(value: float, low: float, span: float, tall: int) -> int:
    return min(tall - 1, max(0, round((1 - (value - low) / span) * (tall - 1))))
