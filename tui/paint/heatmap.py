"""Each layer pruned alone, as a heatmap in characters: a block and a number a cell, filling as the run tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.paint import numbers as n
from tui.paint.lines import Line, cut, left, line, middle, right, wrap

CELL = 6
SHADES = "█▓▒░!"  # from nothing lost to most lost: told by the glyph, whatever the colours
STYLES = ("good", "", "warning", "pruned", "error")
BOUNDS = (0.005, 0.02, 0.05, 0.15)  # of what the dense model has: what a cell may lose and keep its shade


def is_heatmap(value: Any) -> bool:
    """Whether a result is the table of a sensitivity analysis."""
    return isinstance(value, Mapping) and isinstance(value.get("table"), Mapping) and bool(value.get("sparsities"))


def paint(value: Mapping[str, Any], shares: Any, width: int) -> list[Line]:
    """The table, one row a layer, one column a sparsity; as many columns as fit, then the rest below.

    Args:
        value: metric, direction, dense, sparsities, layers and table as the run tells them.
        shares: what each layer shall lose, once that is found.
        width: in cells.
    """
    table, dense = value["table"], n.known(value.get("dense"))
    names = [str(key) for key in value.get("layers") or table]
    sparsities = [float(s) for s in value["sparsities"] if float(s)]  # at 0 each is the dense model
    sign = -1.0 if value.get("direction") == "min" else 1.0
    found = shares.get("per_layer") if isinstance(shares, Mapping) else None
    chosen: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    label = min(18, max(6, width - CELL - 2), max([8, *(len(_layer(name)) for name in names)]))
    each = max(1, (width - label - 2) // CELL)
    out: list[Line] = []
    for begin in range(0, len(sparsities), each):
        part = sparsities[begin : begin + each]
        last = begin + each >= len(sparsities)
        head = "".join(right(n.share(s).replace(" ", ""), CELL) for s in part)
        out.append(line((f" {left('layer', label)} {head}", "heading")))
        for name in names:
            row = table.get(name)
            cells = [_cell(row, s, dense, sign) for s in part]
            out.append((*line((f" {left(middle(_layer(name), label), label)} ", "quiet")), *_flat(cells)))
        if not last:
            out.append(line(""))
    done = sum(1 for row in table.values() if isinstance(row, Mapping) for at in row if float(at))
    all_of = len(names) * len(sparsities)
    words = f"{value.get('metric') or 'accuracy'}, dense {n.metric(dense)}; lost:"
    legend: list[tuple[str, str]] = [(f" {words.replace('_', ' ')} ", "quiet")]
    for shade, style, bound in zip(SHADES, STYLES, (*BOUNDS, None), strict=True):
        legend += [(shade, style), (f" {'more' if bound is None else f'<{100 * bound:g}%'}  ", "quiet")]
    out += _wrapped(legend, width)
    if done < all_of:
        out += wrap(f"{done} of {all_of} cells", width, style="strong", indent=" ")
    if chosen:
        each_of = ", ".join(f"{_layer(str(key))} {n.share(share)}" for key, share in chosen.items())
        total = n.known(shares.get("sparsity"))
        words = f"taken: {each_of}{f'; {n.percent(total)} of all' if total is not None else ''}"
        out += wrap(words, width, style="pruned", indent=" ")
    return [cut(row, width) for row in out]


def _cell(row: Any, sparsity: float, dense: float | None, sign: float) -> list[tuple[str, str]]:
    found = {float(k): v for k, v in row.items()} if isinstance(row, Mapping) else {}
    if sparsity not in found:
        return [(right("·", CELL), "rest")]
    value = n.known(found[sparsity])
    if value is None or dense is None:
        return [(right(n.metric(value), CELL), "error")]
    lost = sign * (dense - value) / (abs(dense) if sign < 0 and dense else 1.0)
    at = next((i for i, bound in enumerate(BOUNDS) if lost < bound), len(BOUNDS))
    return [(f" {SHADES[at]}", STYLES[at]), (right(n.metric(value), CELL - 2), STYLES[at])]


def _flat(cells: list[list[tuple[str, str]]]) -> list[tuple[str, str]]:
    return [span for cell in cells for span in cell]


def _layer(key: str) -> str:
    return key.removesuffix("/kernel")


def _wrapped(spans: list[tuple[str, str]], width: int) -> list[Line]:
    """The legend in lines: a shade stays with its words."""
    out: list[Line] = []
    now: list[tuple[str, str]] = [spans[0]]
    for at in range(1, len(spans), 2):
        pair = spans[at : at + 2]
        if sum(len(text) for text, _ in (*now, *pair)) > width:
            out.append(tuple(now))
            now = [("  ", "")]
        now += pair
    return [*out, tuple(now)]
