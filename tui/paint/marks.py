"""Bars, sparklines and tall digits, made of block characters. Nothing here ever sees a number that is not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui.paint.lines import Line
from tui.paint.numbers import known

BLOCKS = " ▁▂▃▄▅▆▇█"
GAP = "·"


def bar(value: float | None, width: int, *, style: str = "pruned") -> Line:
    """A bar of `width` cells: the full part in `style`, the rest quiet."""
    filled = min(width, max(0, round((value or 0.0) * width)))
    if value and not filled and width:
        filled = 1  # what is there is seen
    return (("█" * filled, style), ("░" * (width - filled), "rest"))


def track(value: float | None, width: int) -> Line:
    """The thin bar of a run's progress, with half steps."""
    halves = min(2 * width, max(0, round((value or 0.0) * 2 * width)))
    full, half = divmod(halves, 2)
    return (("━" * full + ("╸" if half else ""), "strong"), ("━" * (width - full - half), "rest"))


def bounds(values: Sequence[float], *, low: float | None = None, high: float | None = None) -> tuple[float, float]:
    """The range of a chart: that of the finite values, widened to `low` and `high`."""
    finite = [v for v in map(_drawn, (*values, low, high)) if v is not None]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """Exponential moving average without its bias towards the start; gaps stay gaps."""
    out: list[float] = []
    total = mass = 0.0
    for value in values:
        if known(value) is None:
            out.append(math.nan)
            continue
        total, mass = weight * total + (1 - weight) * value, weight * mass + (1 - weight)
        out.append(total / mass)
    return out


def logarithms(values: Sequence[float]) -> list[float]:
    """Base 10; what is not positive becomes a gap."""
    return [math.log10(v) if known(v) is not None and v > 0 else math.nan for v in values]


def spark(
    values: Sequence[float], width: int, *, rows: int = 1, low: float | None = None, high: float | None = None
) -> list[str]:
    """The last values as columns of blocks, one cell each, the newest at the right of what there is.

    More values than cells are averaged in equal shares, so that the whole run stays in sight. A gap (NaN, infinite) is
    a dot; a series that never changes runs along the middle.

    Args:
        values: one number a point.
        width: cells; every returned row has exactly as many.
        rows: how many lines high.
        low: a value that the range must hold.
        high: the same, above.
    """
    points = _resampled([_drawn(v) for v in values], width)
    bottom, top = bounds([p for p in points if p is not None], low=low, high=high)
    steps = 8 * rows
    heights: list[int | None] = []
    for point in points:
        if point is None:
            heights.append(None)
        elif top - bottom <= 1e-12 * max(abs(top), abs(bottom), 1e-300):
            heights.append(max(1, steps // 2))
        else:
            heights.append(1 + round((point - bottom) / (top - bottom) * (steps - 1)))
    out = []
    for row in reversed(range(rows)):
        text = "".join(
            (GAP if row == 0 else " ") if h is None else BLOCKS[min(8, max(0, h - 8 * row))] for h in heights
        )
        out.append(text.ljust(width))
    return out


def widen(values: Sequence[float], times: int) -> list[float]:
    """Each value `times` times: short series fill the room that the whole run will need."""
    return [v for v in values for _ in range(times)]


def place(index: int, count: int, width: int) -> int:
    """The column in which `spark` shows value number `index` of `count`."""
    return index if count <= width else min(width - 1, index * width // count)


def _drawn(value: float | None) -> float | None:
    """A value as a chart can hold it: beyond 1e300 a difference of two would not be finite."""
    number = known(value)
    return None if number is None else min(max(number, -1e300), 1e300)


def _resampled(values: Sequence[float | None], width: int) -> list[float | None]:
    if len(values) <= width or width <= 0:
        return list(values)
    out: list[float | None] = []
    for column in range(width):
        start, end = -(-column * len(values) // width), -(-(column + 1) * len(values) // width)
        found = [v for v in values[start:end] if v is not None]
        out.append(sum(found) / len(found) if found else None)
    return out


# Three cells wide, five half cells high; a full stop and its like are narrower.
_FONT: dict[str, str] = {
    "0": "###|# #|# #|# #|###",
    "1": " # |## | # | # |###",
    "2": "###|  #|###|#  |###",
    "3": "###|  #| ##|  #|###",
    "4": "# #|# #|###|  #|  #",
    "5": "###|#  |###|  #|###",
    "6": "###|#  |###|# #|###",
    "7": "###|  #|  #| # | # ",
    "8": "###|# #|###|# #|###",
    "9": "###|# #|###|  #|###",
    ".": " | | | |#",
    ",": "  |  |  |  | #|# ",  # it hangs below the line, or 6,195 is read as 6.195
    "-": "  |  |##|  |  ",
    "–": "   |   |###|   |   ",
    "x": "   |# #| # |# #|   ",
    "%": "# #|  #| # |#  |# #",
    " ": " | | | | ",
}  # fmt: skip


def tall(text: str) -> tuple[str, str, str]:
    """Digits three lines high, to be read from across the room; what has no tall form stands at the foot."""
    rows = ["", "", ""]
    for at, letter in enumerate(text):
        if at and (letter in _FONT or text[at - 1] in _FONT):
            rows = [r + " " for r in rows]
        if letter not in _FONT:
            rows = [rows[0] + " ", rows[1] + " ", rows[2] + letter]
            continue
        pixels = [*_FONT[letter].split("|"), ""]
        for row in range(3):
            upper, lower = pixels[2 * row], pixels[2 * row + 1].ljust(len(pixels[0]))
            rows[row] += "".join(" ▀▄█"[(u == "#") + 2 * (d == "#")] for u, d in zip(upper, lower, strict=True))
    return rows[0], rows[1], rows[2]
