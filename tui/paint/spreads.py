"""Column norms, a line a layer: how they are spread, and which are under the layer's threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.paint import numbers as n
from tui.paint.lines import Line, left, middle, wrap
from tui.paint.marks import BLOCKS


def paint(value: Mapping[str, Any], width: int) -> list[Line]:
    """Histograms of column norms, a line a layer, from 0 to the largest: what is under the threshold in its own colour.

    Args:
        value: by layer `counts` from 0 to `top`, `mean` and `threshold`.
        width: in cells.
    """
    out: list[Line] = []
    label = min(14, max((len(str(layer)) for layer in value), default=8))
    for layer, part in value.items():
        counts = [n.known(v) or 0.0 for v in part.get("counts") or ()] if isinstance(part, Mapping) else []
        top = n.known(part.get("top")) if isinstance(part, Mapping) else None
        if not counts or not top:
            continue
        limit, mean = n.known(part.get("threshold")), n.known(part.get("mean"))
        under = len(counts) if limit is None or limit > top else max(0, round(limit / top * len(counts)))
        high = max(counts) or 1.0
        drawn = "".join(BLOCKS[max(1, round(8 * c / high))] if c else "▁" for c in counts)
        bars = [(drawn, "accuracy")] if limit is None else [(drawn[:under], "pruned"), (drawn[under:], "accuracy")]
        if limit is not None:
            bars.insert(1, ("│" if under < len(counts) else "▸", "key"))
        said = f" {n.any_number(_short(limit))}" if limit is not None else ""
        more = f"  mean {n.any_number(_short(mean))}  up to {n.any_number(_short(top))}"
        row = [(f" {left(middle(str(layer), label), label)} ", "quiet"), *bars, (said, "key")]
        room = width - sum(len(text) for text, _ in row)
        out.append((*row, (more if len(more) <= room else more.partition("  up")[0] if room > 13 else "", "quiet")))
    if out:
        out += wrap("column norms from 0; left of │ is under the layer's threshold", width, style="quiet", indent=" ")
    return out


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
