"""Sessions: what was run, what goes on, and what can be done with it."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Input

from engine.errors import PruneError
from engine.folders import Listed, delete, disk_use, listed
from engine.session import Session
from tui import history, keys
from tui.making import FORMATS, make
from tui.paint import numbers as n
from tui.paint.lines import Line, cut, line, spread, wrap
from tui.widgets.keybar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.menu import Menu
from tui.widgets.panel import MenuPanel
from tui.working import begin

if TYPE_CHECKING:
    from tui.app import PruneApp


class SessionsScreen(Screen[None]):
    """All runs of the folder, newest first; read in a thread, so that ten thousand do not hold the screen up."""

    app: PruneApp
    scope = "sessions"
    AUTO_FOCUS = "#list"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("sessions")]
    DEFAULT_CSS = """
    SessionsScreen {
        layout: vertical; background: $background;
        & > #top { height: 1; }
        & > #filter { height: 1; border: none; padding: 0 1; background: $surface; }
        & > #about { height: 2; margin-top: 1; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[Listed] = []
        self.shown: dict[str, Listed] = {}
        self.words, self.sort, self.read = "", next(iter(history.SORTS)), False

    def compose(self) -> ComposeResult:
        """Title, list, what the chosen one is, keys."""
        yield Lines(id="top")
        yield MenuPanel("sessions", id="list")
        yield Lines(id="about")
        yield KeyBar("sessions")

    def on_mount(self) -> None:
        """Reads now, and every two seconds while something goes on."""
        self._fill()
        self._reread()
        self.set_interval(2.0, self._reread_if_going)

    def on_screen_resume(self) -> None:
        """Back from a run: its row has changed."""
        self._reread()

    def on_resize(self) -> None:
        """Paints in the new width."""
        self.call_after_refresh(self._fill)

    def _reread_if_going(self) -> None:
        if any(run.alive for run in self.listed):
            self._reread()

    def _reread(self) -> None:
        begin(self, self._read, exclusive=True, group="read")

    async def _read(self) -> None:
        self.listed = await asyncio.to_thread(listed, self.app.runs)
        self.read = True
        self._fill()

    def _fill(self) -> None:
        menu, width = self.query_one(Menu), self.app.size.width
        found = history.chosen(self.listed, words=self.words, sort=self.sort)
        self.shown = {run.folder: run for run in found}
        menu.pin(*([history.head(width - 1)] if found else []))
        menu.fill(
            [(run.folder, history.row(run, width - 1)) for run in found] or [("", row) for row in self._empty(width)]
        )
        count = f"{len(found):,} of {len(self.listed):,}" if self.words else f"{len(self.listed):,}"
        self.query_one("#top", Lines).put(
            [
                spread(
                    line((" prune-tui", "strong"), ("   sessions", "quiet")),
                    line((f"{count}, {self.sort} ", "quiet")),
                    width,
                )
            ]
        )
        self._about()

    def _empty(self, width: int) -> list[Line]:
        if not self.read:
            return [line((" reading", "quiet"))]
        if self.words:
            return [line((f" nothing matches {self.words!r}; esc shows all", "quiet"))]
        words = (
            "Nothing was run here yet. Press Escape, choose a preset and press Enter: its session will be in this list."
        )
        return [
            line(""),
            *wrap(words, width - 2, indent=" "),
            line(""),
            *wrap(f"Runs are kept in {self.app.runs}.", width - 2, style="quiet", indent=" "),
        ]

    @property
    def chosen(self) -> Listed | None:
        """The session under the cursor."""
        return self.shown.get(self.query_one(Menu).chosen)

    def _about(self) -> None:
        run, about = self.chosen, self.query_one("#about", Lines)
        if run is None:
            about.put([])
            return
        summary, width, folder = run.summary, self.app.size.width - 2, Path(run.folder)
        target = f"target {summary.target.replace('_', ' ')}" if summary.target else ""
        warnings = f"{summary.warnings} warning{'s' if summary.warnings != 1 else ''}" if summary.warnings else ""
        said = "   ".join(filter(None, (summary.title or summary.name, f"{summary.epochs} epochs", target, warnings)))
        what = line(f" {said}")
        if run.state == "failed" and summary.words:
            what = wrap(summary.words, width, style="error", most=1, indent=" ")[0]
        where = line((f" {folder}   {n.size(disk_use(folder))} on disk", "quiet"))
        about.put([cut(what, width), cut(where, width)])

    def on_menu_moved(self) -> None:
        """Another session."""
        self._about()

    def on_menu_pressed(self) -> None:
        """A click on the chosen session opens it."""
        self.action_open()

    # ---- what can be done ------------------------------------------------------------------------------------------

    def action_open(self) -> None:
        """Opens the session; one that goes on is followed."""
        if self.chosen is not None:
            self.app.open_run(Path(self.chosen.folder))

    def action_plots(self) -> None:
        """Plots of the sessions that are shown."""
        from tui import plots

        made = plots.of_sessions(list(self.shown.values()))
        if made:
            plots.show(self.app, f"{len(self.shown):,} sessions", lambda: made, self.app.runs / "plots")
        else:
            self.app.say("There is nothing to plot yet: no session here was measured.")

    def action_sort(self) -> None:
        """The next order."""
        orders = list(history.SORTS)
        self.sort = orders[(orders.index(self.sort) + 1) % len(orders)]
        self._fill()

    def action_filter(self) -> None:
        """Opens the filter."""
        found = self.query("#filter")
        if found:
            found.first().focus()
            return
        box = Input(self.words, placeholder="filter", id="filter", compact=True)
        self.mount(box, before=1)
        box.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrows the list with each letter."""
        self.words = event.value
        self._fill()

    def on_input_submitted(self) -> None:
        """The list takes the keyboard."""
        self.query_one(Menu).focus()

    def action_back(self) -> None:
        """Closes the filter, then the screen."""
        if self.query("#filter"):
            self.query("#filter").remove()
            self.words = ""
            self._fill()
            self.query_one(Menu).focus()
        else:
            self.app.pop_screen()

    def action_again(self) -> None:
        """Runs the session's recipe once more."""
        session = self._session()
        if session is not None:
            self.app.run_again(session)

    def action_delete(self) -> None:
        """Asks, then deletes the folder."""
        run = self.chosen
        if run is None:
            return
        if run.alive:
            self.app.say(f"{history.name(run)} is still going: stop it first.", error=True)
            return
        from tui.screens.ask import Ask

        folder = Path(run.folder)
        ask = Ask(
            f"Delete {history.name(run)}?", ("n", "no, keep it", ""), ("d", "delete it for good", "delete"),
            more=f"{folder} with everything in it, {n.size(disk_use(folder))}.",
        )  # fmt: skip

        def answered(answer: str | None) -> None:
            if answer == "delete":
                self._try(lambda: delete(folder), f"{folder.name} is deleted")

        self.app.push_screen(ask, answered)

    def action_rename(self) -> None:
        """Asks for another name."""
        run = self.chosen
        if run is None:
            return
        if run.alive:
            self.app.say("A session can be renamed when its run has ended.", error=True)
            return
        from tui.screens.prompt import Prompt

        def answered(to: str | None) -> None:
            if to:
                self._try(lambda: history.rename(Path(run.folder), to), f"it is called {to} now")

        self.app.push_screen(Prompt("What shall it be called?", history.name(run), wrong=history.wrong_name), answered)

    def action_export(self) -> None:
        """Asks as what, then writes it."""
        session, run = self._session(), self.chosen
        if session is None or run is None:
            return
        from tui.screens.ask import Ask

        def answered(kind: str | None) -> None:
            if kind in {made for _, _, made in FORMATS}:
                begin(self.app, partial(self._make, Path(run.folder), kind, session), group="export")
            elif kind:
                self._try(lambda: history.export(session, Path(run.folder), kind), f"written into {run.folder}/exports")

        ask = Ask(
            f"Export {history.name(run)} as", ("y", "YAML, all of it", "yaml"), ("c", "CSV, one row an epoch", "csv"),
            ("p", "a Python script that repeats it", "python"), *FORMATS, ("n", "nothing", ""),
        )  # fmt: skip
        self.app.push_screen(ask, answered)

    async def _make(self, folder: Path, kind: str, session: Session) -> None:
        self.app.say("being made, loaded again and compared")
        try:
            self.app.say(await make(folder, kind, session.recipe))
        except PruneError as error:
            self.app.say(str(error), error=True)

    def _session(self) -> Session | None:
        if self.chosen is None:
            return None
        try:
            return Session.load(self.chosen.folder)
        except PruneError as error:
            self.app.say(str(error), error=True)
            return None

    def _try(self, act: object, done: str) -> None:
        try:
            if callable(act):
                act()
        except (PruneError, OSError) as error:
            self.app.say(str(error), error=True)
        else:
            self.app.say(done)
        self._reread()
