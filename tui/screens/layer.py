"""One layer: what is left of it, what the method says of it, how its weights are spread before and after."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from engine.session import Session
from tui import keys
from tui.live import LiveRun
from tui.paint import numbers as n
from tui.paint.lines import Line, left, line, wrap
from tui.paint.marks import bar, spark
from tui.paint.tables import layer_name
from tui.widgets.panel import Panel


class LayerScreen(ModalScreen[str]):
    """Over the run; stays live. Gives back the key of the layer it ended at."""

    scope = "layer"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("layer"), Binding("question_mark,f1", "app.help")]
    DEFAULT_CSS = """
    LayerScreen { align: center middle; background: $background 60%; }
    LayerScreen Panel {
        width: 90; max-width: 96%; height: auto; max-height: 92%; background: $surface; padding: 1 2;
        border: none; border-left: thick $pruned;
        &:focus { border-top: none; }
    }
    """

    def __init__(self, live: LiveRun, key: str) -> None:
        super().__init__()
        self.live, self.key = live, key

    def compose(self) -> ComposeResult:
        """One panel."""
        yield Panel("", id="layer")

    def on_mount(self) -> None:
        """Paints, and goes on painting."""
        self.query_one(Panel).focus()
        self.paint()
        self.set_interval(1 / 4, self.paint)

    def paint(self) -> None:
        """Shows the layer as it stands."""
        width = min(90, int(self.app.size.width * 0.96)) - 6
        self.query_one(Panel).put(layer_lines(self.live.session, self.key, width))

    def action_move(self, step: int) -> None:
        """The next layer, or the one before."""
        names = [row.key for row in self.live.session.layers]
        if self.key in names:
            self.key = names[(names.index(self.key) + step) % len(names)]
            self.paint()

    async def action_dismiss(self, result: Any = None) -> None:
        """Closes."""
        self.dismiss(self.key)


def layer_lines(session: Session, key: str, width: int) -> list[Line]:
    """A layer in words, numbers and, where the run sent them, histograms."""
    found = [row for row in session.layers if row.key == key]
    if not found:
        return [line((f"{key} is gone", "quiet"))]
    row = found[0]
    at = session.layers.index(row) + 1
    gone = 1 - row.kept / row.weights if row.weights else 0.0
    bars = max(8, width - 44)
    where = f"   {n.shape(row.shape)}   layer {at} of {len(session.layers)}"
    out = [
        line((layer_name(row.key), "strong"), (where, "quiet")),
        line(""),
        line((left("weights", 10), "quiet"), *bar(gone, bars), (f"  {n.percent(gone)} gone", "pruned"),
             (f"  {n.count(row.kept)} of {n.count(row.weights)}", "")),
    ]  # fmt: skip
    if row.units:
        lost = 1 - row.units_kept / row.units
        out.append(line((left("units", 10), "quiet"), *bar(lost, bars), (f"  {n.percent(lost)} gone", "pruned"),
                        (f"  {n.count(row.units_kept)} of {n.count(row.units)}", "")))  # fmt: skip
    if row.protected:
        out.append(line(("It keeps all its units: it makes the output, or the recipe skips it.", "quiet")))
    if row.numbers:
        out += [
            line(""),
            *(line((left(k.replace("_", " "), 24), "quiet"), n.any_number(v)) for k, v in row.numbers.items()),
        ]
    told = [d for d in session.decisions if d.layer in (key, layer_name(key))]
    if told:
        out += [line(""), line(("what was decided", "heading"))]
        out += [row for d in told[-8:] for row in _decision(d.epoch, d.verdict, _bare(d.words, layer_name(key)), width)]
    out += _histograms(session, key, width)
    return [*out, line(""), line(("← → other layers   ? help   esc back", "quiet"))]


def _bare(words: str, name: str) -> str:
    """A decision's words without the epoch and the layer, which stand beside and above it."""
    return re.sub(rf"^epoch \d+: (layer {re.escape(name)} )?", "", words)


def _decision(epoch: int, verdict: str, words: str, width: int) -> list[Line]:
    first, *rest = wrap(words, max(16, width - 18), most=3)
    start = line((f"{epoch:>4}  ", "quiet"), (left(verdict.replace("_", " "), 12), "strong"), *first)
    return [start, *(line(" " * 18, *more) for more in rest)]


def _histograms(session: Session, key: str, width: int) -> list[Line]:
    """From the result `histograms`: {layer key: {what: {edges, before, after}}}."""
    found = session.results.get("histograms")
    parts = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(parts, Mapping):
        return []
    out: list[Line] = []
    for name, part in parts.items():
        edges = [v for v in map(n.known, part.get("edges") or ()) if v is not None] if isinstance(part, Mapping) else []
        if len(edges) < 2:
            continue
        out += [line(""), line((str(name).replace("_", " "), "heading"))]
        high = max((n.known(v) or 0.0 for side in ("before", "after") for v in part.get(side) or ()), default=1.0)
        for side, style in (("before", "quiet"), ("after", "pruned")):
            counts = [n.known(v) or 0.0 for v in part.get(side) or ()]
            for at, row in enumerate(spark(counts, min(width - 12, len(counts)), rows=3, low=0.0, high=high)):
                out.append(line((left(side if at == 2 else "", 10), "quiet"), (row, style)))
        ends = f"{n.any_number(edges[0])} to {n.any_number(edges[-1])}"
        out.append(line(" " * 10, (ends, "quiet")))
    return out
