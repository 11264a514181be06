"""Plots: one at a time, large, with its numbers below; of a run as it goes on, or of many sessions."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from engine.reporting.blocks import Plot, Series
from tui import keys
from tui.paint import numbers as n
from tui.paint.lines import Line, line, spread, wrap
from tui.widgets.keybar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.panel import Panel
from tui.widgets.plot import GLYPHS, PlotView
from tui.working import begin

if TYPE_CHECKING:
    from tui.app import PruneApp

# What makes a PNG of an SVG, where it is installed; none of them is asked for.
CONVERTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("rsvg-convert", ("--zoom=2", "--output={png}", "{svg}")),
    ("magick", ("-density", "192", "{svg}", "{png}")),
    ("inkscape", ("--export-type=png", "--export-dpi=192", "--export-filename={png}", "{svg}")),
)
_STYLES = ("pruned", "accuracy", "good", "warning", "error", "", "quiet", "accuracy")


class PlotsScreen(Screen[None]):
    """One plot of several.

    Args:
        title: whose plots they are.
        plots: makes them anew; asked once a second, so that a run that goes on is followed.
        folder: where they are saved.
    """

    app: PruneApp
    scope = "plots"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("plots")]
    DEFAULT_CSS = """
    PlotsScreen {
        layout: vertical; background: $background;
        & > #top { height: 1; }
        & > PlotView { height: 1fr; }
        & > #values { height: auto; max-height: 35%; }
    }
    """

    def __init__(self, title: str, plots: Callable[[], list[Plot]], folder: Path) -> None:
        super().__init__()
        self.of, self.make, self.folder = title, plots, folder
        self.plots: list[Plot] = []
        self.at = 0

    def compose(self) -> ComposeResult:
        """Title, plot, numbers, keys."""
        yield Lines(id="top")
        yield PlotView(id="plot")
        yield Panel("numbers", id="values")
        yield KeyBar("plots")

    def on_mount(self) -> None:
        """Draws, and looks for news every second."""
        self.query_one("#values").focus()
        self.set_interval(1.0, self.look)

    def on_resize(self) -> None:
        """Draws in the new size."""
        self.call_after_refresh(self.look, force=True)

    def look(self, *, force: bool = False) -> None:
        """Draws what has changed."""
        found = self.make()
        if (found == self.plots and not force) or not self.query(PlotView):
            return
        self.plots = found
        self.at = min(self.at, max(0, len(found) - 1))
        self.draw()

    @property
    def plot(self) -> Plot | None:
        """The one that is shown."""
        return self.plots[self.at] if self.plots else None

    def draw(self) -> None:
        """The plot, and below it every number of it."""
        plot, width = self.plot, self.app.size.width
        said = line((f" {self.of}", "strong"), (f"   {plot.title if plot else 'nothing to plot yet'}", ""))
        end = line((f"{self.at + 1} of {len(self.plots)} ", "quiet")) if plot else line("")
        self.query_one("#top", Lines).put([spread(said, end, width)])
        self.query_one("#values", Panel).put(numbers(plot, width - 2) if plot else [])
        self.call_after_refresh(self.query_one(PlotView).show, plot or Plot("", "", "", ()))

    def action_move(self, step: int) -> None:
        """The next plot, or the one before."""
        if self.plots:
            self.at = (self.at + step) % len(self.plots)
            self.draw()

    def action_save(self) -> None:
        """Writes all of them as files."""
        begin(self, self._save, exclusive=True, group="save")

    async def _save(self) -> None:
        if not self.plots:
            self.app.say("There is nothing to save yet.")
            return
        try:
            self.app.say(await save(self.plots, self.folder))
        except OSError as error:
            self.app.say(f"{self.folder} cannot be written: {error.strerror or error}", error=True)

    def action_back(self) -> None:
        """Leaves."""
        self.app.pop_screen()


def numbers(plot: Plot, width: int) -> list[Line]:
    """Every series with its mark, its name and its points; long ones are thinned, never the last point."""
    out: list[Line] = []
    for at, series in enumerate(plot.series):
        name = f" {GLYPHS[at % len(GLYPHS)]} {series.name or plot.y}  "
        shown = _thinned(series, max(2, 3 * (width - len(name)) // 16))
        pairs = (f"{_said(x, percent=plot.percent_x)} {_said(y, percent=plot.percent_y)}" for x, y in shown)
        text = "   ".join(pair.replace(" ", "\u00a0") for pair in pairs)  # a pair stays on one line
        first, *rest = wrap(text, max(12, width - len(name)), most=3)
        out += [line((name, _STYLES[at % len(_STYLES)]), *first), *(line(" " * len(name), *more) for more in rest)]
    return out


def _said(value: float, *, percent: bool) -> str:
    return n.percent(value) if percent else n.metric(value) if 0 < value < 1 else n.any_number(value)


def _thinned(series: Series, most: int) -> list[tuple[float, float]]:
    points = list(series.points)
    step = -(-len(points) // most)
    return points if step <= 1 else [*points[:-1:step], points[-1]]


async def save(plots: list[Plot], folder: Path) -> str:
    """Writes SVG files, and PNG beside them where a converter is installed; gives what to say of it.

    Raises:
        OSError: the folder cannot be written.
    """
    from engine.files import write_atomically
    from engine.reporting.plots import svg_file

    converter = next(((found, more) for name, more in CONVERTERS if (found := shutil.which(name))), None)
    made = 0
    for at, plot in enumerate(plots, 1):
        words = "".join(c if c.isalnum() else "-" for c in plot.title.lower()).strip("-")
        path = folder / f"{at:02}-{words}.svg"
        write_atomically(path, svg_file(plot).encode())
        if converter is not None:
            made += await _converted(converter[0], converter[1], path)
    png = f", {made} as PNG too" if made else "; PNG needs rsvg-convert, ImageMagick or Inkscape"
    return f"{len(plots)} plots as SVG in {folder}{png}"


async def _converted(program: str, arguments: tuple[str, ...], path: Path) -> bool:
    argv = [part.format(svg=path, png=path.with_suffix(".png")) for part in arguments]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(program, *argv, stdin=quiet, stdout=quiet, stderr=quiet)
    return await process.wait() == 0
