"""A line of the screen as a value: pieces of text, each with the name of a style. Widths are in cells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size

Span: TypeAlias = tuple[str, str]
Line: TypeAlias = tuple[Span, ...]

STYLES: tuple[str, ...] = (
    "quiet", "strong", "pruned", "accuracy", "good", "warning", "error", "badge", "bad-badge", "rest", "key", "heading"
)  # fmt: skip
"""Every style name that a span may bear; `""` is plain."""

EMPTY: Line = ()
_CONTROL = dict.fromkeys((*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd")


def clean(text: str) -> str:
    """Text from a file, a model or a log without what would move the cursor or turn the writing direction."""
    return text if _simple(text) else text.translate(_CONTROL)


def _simple(text: str) -> bool:
    """Whether each character takes one cell and none moves the cursor, as in nearly all of ten thousand rows."""
    return text.isascii() and text.isprintable()


def line(*parts: str | Span) -> Line:
    """A line of plain strings and (text, style) pairs."""
    return tuple((p, "") if isinstance(p, str) else p for p in parts)


def plain(of: Line) -> str:
    """The text alone."""
    return "".join(text for text, _ in of)


def length(of: Line) -> int:
    """The line's width in cells."""
    return sum(cell_len(text) for text, _ in of)


def left(text: str, width: int) -> str:
    """Exactly `width` cells, text at the left; what is too long ends in an ellipsis."""
    if width <= 0:
        return ""
    if _simple(text):
        return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
    text = clean(text)
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def right(text: str, width: int) -> str:
    """Exactly `width` cells, text at the right."""
    if _simple(text):
        return text.rjust(width) if len(text) <= width else left(text, width)
    text = clean(text)
    return " " * (width - cell_len(text)) + text if cell_len(text) <= width else left(text, width)


def middle(text: str, width: int) -> str:
    """Exactly `width` cells; what is too long loses its middle (paths and layer names differ at their ends)."""
    text = clean(text)
    if cell_len(text) <= width or width < 5:
        return left(text, width)
    head = (width - 1) // 3
    tail = text[-(width - 1 - head) :]
    return set_cell_size(set_cell_size(text, head) + "…" + tail, width)


def cut(of: Line, width: int) -> Line:
    """The line in at most `width` cells."""
    if length(of) <= width:
        return of
    out: list[Span] = []
    for text, style in of:
        room = width - length(tuple(out))
        if cell_len(text) > room:
            return (*out, (left(text, room), style)) if room > 0 else tuple(out)
        out.append((text, style))
    return tuple(out)


def spread(start: Line, end: Line, width: int) -> Line:
    """`start` at the left and `end` at the right of `width` cells; `start` gives way, and without room `end` does."""
    room = width - length(end)
    if room < 8:
        return cut(start, width)
    start = cut(start, room - 1)
    return (*start, (" " * (room - length(start)), ""), *end)


def wrap(text: str, width: int, *, style: str = "", most: int = 0, indent: str = "") -> list[Line]:
    """Text in lines of at most `width` cells, `indent` included, cut between words; at most `most` lines (0: all)."""
    out: list[str] = []
    width -= len(indent)
    for paragraph in text.splitlines() or [""]:
        row = ""
        for word in clean(paragraph).split(" "):
            if row and cell_len(row) + 1 + cell_len(word) > width:
                out.append(row)
                row = word
            else:
                row = f"{row} {word}" if row else word
            while width > 0 and cell_len(row) > width:  # one word longer than the line
                head = set_cell_size(row, width).rstrip()
                out.append(head)
                row = row[len(head) :]
        out.append(row)
    if most and len(out) > most:
        out = [*out[: most - 1], left(" ".join(out[most - 1 :]), width)]
    return [((indent, ""), (row, style)) if indent else ((row, style),) for row in out]


def columns(cells: Iterable[tuple[Line, int]], *, gap: int = 1) -> Line:
    """Lines side by side, each in its fixed width."""
    out: list[Span] = []
    for of, width in cells:
        if out:
            out.append((" " * gap, ""))
        shown = cut(of, width)
        out += [*shown, (" " * (width - length(shown)), "")]
    return tuple(out)
