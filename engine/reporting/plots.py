"""Line plots as SVG, without a library: axes at round numbers, a point for each value, a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from engine.reporting.blocks import Plot, Series

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 24, 42, 46
LEGEND_ROW, LEGEND_COLUMNS = 18, 3
# Okabe and Ito's colours, which the colour-blind can tell apart; marks and dashes tell the lines apart without colour.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#a58d00")
MARKS = ("circle", "square", "triangle", "diamond", "cross", "plus", "down", "ring")
DASHES = ("", "8 3", "2 3", "8 3 2 3", "12 4", "4 4", "1 4", "12 3 1 3")

_STYLE = (
    "text{font:12px sans-serif;fill:#222}.title{font-weight:600}.end{text-anchor:end}"
    ".middle{text-anchor:middle}.grid{stroke:#ddd}"
)


def svg(plot: Plot) -> str:
    """The plot as an SVG element; "" when it has no point to show."""
    lines = [s for s in plot.series if s.points]
    if not lines:
        return ""
    xs, ys = [x for s in lines for x, _ in s.points], [y for s in lines for _, y in s.points]
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))
    left, right, low, high = x_ticks[0], x_ticks[-1], y_ticks[0], y_ticks[-1]

    def across(x: float) -> float:
        return LEFT + (x - left) / (right - left) * (WIDTH - LEFT - RIGHT)

    def up(y: float) -> float:
        return HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {_height(lines)}" role="img" aria-label="{escape(plot.title, quote=True)}" '
        'xmlns="http://www.w3.org/2000/svg">',
        f'<text class="title" x="{LEFT}" y="14">{escape(plot.title)}</text>',
    ]
    for y in y_ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(y):.1f}" y2="{up(y):.1f}"/>')
        label = tick_label(y, y_ticks, percent=plot.percent_y)
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{up(y) + 4:.1f}">{label}</text>')
    for x in x_ticks:
        label = tick_label(x, x_ticks, percent=plot.percent_x)
        parts.append(f'<text class="tick middle" x="{across(x):.1f}" y="{HEIGHT - BOTTOM + 16}">{label}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="tick middle" x="{middle:.0f}" y="{HEIGHT - 12}">{escape(plot.x)}</text>')
    parts.append(f'<text class="tick" x="4" y="{TOP - 12}">{escape(plot.y)}</text>')
    for number, line in enumerate(lines):
        parts += _line(line, number, across, up)
    parts += _legend(lines)
    return "".join([*parts, "</svg>"])


def svg_file(plot: Plot) -> str:
    """The plot as an SVG file that needs no page around it; "" when it has no point to show."""
    drawn = svg(plot)
    head, _, rest = drawn.partition(">")
    if not drawn:
        return ""
    height = _height([s for s in plot.series if s.points])
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{head} width="{WIDTH}" height="{height}"><style>{_STYLE}</style>'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{rest}\n'
    )


def ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`: steps of 1, 2 or 5 times a power of ten."""
    if high - low < 1e-12 * max(1.0, abs(low), abs(high)):
        room = max(abs(low), abs(high)) * 0.05
        room = room if room > 1e-9 else 0.5
        low, high = low - room, high + room
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def tick_label(value: float, all_ticks: Sequence[float], *, percent: bool = False) -> str:
    """A tick's number with as many decimals as its neighbours need."""
    scale = 100.0 if percent else 1.0
    step = (all_ticks[1] - all_ticks[0]) * scale
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    return f"{value * scale:,.{decimals}f}{' %' if percent else ''}"


def _line(line: Series, number: int, across: object, up: object) -> list[str]:
    place = [(across(x), up(y)) for x, y in sorted(line.points, key=lambda p: p[0])]  # type: ignore[operator]
    colour, dashes = COLOURS[number % len(COLOURS)], "6 4" if line.dashed else DASHES[number % len(DASHES)]
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in place)
    parts = [f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dash} points="{drawn}"/>'] * line.joined
    if len(place) <= 40 or not line.joined:
        parts += [_mark(x, y, number) for x, y in place]
    return parts


def _mark(x: float, y: float, number: int, *, place: str = "mark") -> str:
    colour, kind = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
    if kind in ("circle", "ring"):
        inside = f'fill="{colour}"' if kind == "circle" else f'fill="#fff" stroke="{colour}" stroke-width="2"'
        return f'<circle class="{place}" cx="{x:.1f}" cy="{y:.1f}" r="{2.8 if kind == "circle" else 3.2}" {inside}/>'
    drawn = {
        "square": "m-3-3h6v6h-6z",
        "triangle": "m0-4 4 7h-8z",
        "down": "m0 4 4-7h-8z",
        "diamond": "m0-4 4 4-4 4-4-4z",
        "cross": "m-3-3 6 6m0-6-6 6",
        "plus": "m-4 0h8m-4-4v8",
    }[kind]
    stroke = f'fill="none" stroke="{colour}" stroke-width="2"' if kind in ("cross", "plus") else f'fill="{colour}"'
    return f'<path class="{place}" d="M{x:.1f} {y:.1f}{drawn}" {stroke}/>'


def _named(lines: Sequence[Series]) -> Sequence[Series]:
    return () if len(lines) == 1 and not lines[0].name else lines[:8]


def _height(lines: Sequence[Series]) -> int:
    return HEIGHT + LEGEND_ROW * -(-len(_named(lines)) // LEGEND_COLUMNS)


def _legend(lines: Sequence[Series]) -> list[str]:
    """Below the plot, where no line runs through it: each line's own stroke and mark."""
    parts = []
    for number, line in enumerate(_named(lines)):
        row, column = divmod(number, LEGEND_COLUMNS)
        x, y = LEFT + column * (WIDTH - LEFT) / LEGEND_COLUMNS, HEIGHT + 4 + LEGEND_ROW * row
        if line.joined:
            dashes = "6 4" if line.dashed else DASHES[number % len(DASHES)]
            dash = f' stroke-dasharray="{dashes}"' if dashes else ""
            stroke = f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="2"{dash}'
            parts.append(f'<line x1="{x:.0f}" x2="{x + 28:.0f}" y1="{y - 4}" y2="{y - 4}" {stroke}/>')
        parts.append(_mark(x + 14, y - 4, number, place="key"))
        parts.append(f'<text class="tick" x="{x + 34:.0f}" y="{y}">{escape(line.name[:22])}</text>')
    return parts
