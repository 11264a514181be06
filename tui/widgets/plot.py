"""A plot of lines and marks, by textual-plot. It brings NumPy along: only the screen of plots imports this."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Grid
from textual.strip import Strip
from textual_hires_canvas import Canvas
from textual_plot import HiResMode, NumericAxisFormatter, PlotWidget
from textual_plot.plot_widget import Legend

from engine.reporting.blocks import Plot, Series
from engine.reporting.plots import tick_label, ticks

GLYPHS = "●■▲◆▼○□△"
COLOURS = ("pruned", "accuracy", "success", "warning", "error", "foreground", "quiet", "primary")


class _Ticks(NumericAxisFormatter):
    """Ticks at the same round numbers as in the files, with as many decimals as they need."""

    def __init__(self, at: Sequence[float], *, percent: bool) -> None:
        super().__init__()
        self.at, self.percent = list(at), percent

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        """All of ours."""
        return self.at

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """In percent where the axis is a share."""
        return [tick_label(tick, self.at, percent=self.percent) for tick in ticks]


class _Canvas(Canvas):
    """Gives every piece a style: Textual's filter for NO_COLOR fails on pieces without one."""

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y).extend_cell_length(self.size.width)
        return Strip([Segment(text, style or Style()) for text, style, _ in strip], strip.cell_length)


class PlotView(PlotWidget, can_focus=False):
    """Shows a plot as the files have it: series apart by mark, colour and, in the legend below, name."""

    DEFAULT_CSS = """
    PlotView {
        background: $background;
        & > .plot--axis { color: $rest; }
        & > .plot--tick { color: $quiet; text-style: none; }
        & > .plot--label { color: $quiet; text-style: none; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, allow_pan_and_zoom=False)

    def compose(self) -> ComposeResult:
        """The same parts as its base, of our canvas."""
        with Grid():
            for name in ("margin-top", "margin-left", "plot", "margin-bottom"):
                yield _Canvas(1, 1, id=name)
        yield Legend(id="legend")

    def on_mount(self) -> None:
        """A line less above: the title is in the screen's own head."""
        self.margin_top = 1

    def show(self, plot: Plot) -> None:
        """Draws it."""
        with self.app.batch_update():
            self.clear()
            points = [point for line in plot.series for point in line.points]
            if not points:
                return
            wide, high = self.size.width, self.size.height
            across = ticks(min(x for x, _ in points), max(x for x, _ in points), most=max(2, min(8, wide // 14)))
            up = ticks(min(y for _, y in points), max(y for _, y in points), most=max(2, min(8, high // 3)))
            self.set_xlimits(across[0], across[-1])
            self.set_ylimits(up[0], up[-1])
            self.set_x_formatter(_Ticks(across, percent=plot.percent_x))
            self.set_y_formatter(_Ticks(up, percent=plot.percent_y))
            self.set_xticks(across)
            self.set_yticks(up)
            self.set_xlabel(plot.x)
            for at, line in enumerate(plot.series):
                self._draw(line, at)

    def _draw(self, line: Series, at: int) -> None:
        place = sorted(line.points, key=lambda point: point[0])
        x, y = [p[0] for p in place], [p[1] for p in place]
        colour = self.app.theme_variables.get(COLOURS[at % len(COLOURS)], "white")
        if line.joined and len(place) > 1:
            self.plot(x, y, line_style=colour, hires_mode=HiResMode.BRAILLE)
        if not line.joined or len(place) <= 40:
            self.scatter(x, y, marker=GLYPHS[at % len(GLYPHS)], marker_style=colour)
