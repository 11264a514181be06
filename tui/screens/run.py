"""Run: how much is gone and what it cost, live. A 4 Hz timer paints what changed; nothing else touches the widgets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widget import Widget

from engine.errors import PruneError
from engine.session import Session
from tui import keys
from tui.live import LiveRun
from tui.paint import curves, figures, heading, result, sweep, tables
from tui.paint.lines import Line, line, wrap
from tui.widgets.keybar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.panel import MenuPanel, Panel
from tui.working import begin

if TYPE_CHECKING:
    from tui.app import PruneApp

PANELS = ("live", "epochs", "layers", "result", "log")
LEFT = ("live", "epochs")
SMOOTHING = (0.0, 0.6, 0.9)


class RunScreen(Screen[None]):
    """One run, going or ended."""

    app: PruneApp
    scope = "run"
    AUTO_FOCUS = "#layers"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("run")]
    DEFAULT_CSS = """
    RunScreen {
        layout: vertical; background: $background;
        & > Lines { height: auto; }
        & > #figures { margin-top: 1; margin-bottom: 1; }
        & #left { width: 1fr; margin-right: 2; }
        & #right { width: 1.2fr; }
        & .panel { height: 1fr; margin-bottom: 1; }
        &.-wide #live, &.-normal #live { height: auto; }
        &.-wide #layers { height: auto; max-height: 65%; }
        &.-wide #layers.-less { max-height: 35%; }
        &.-wide #result { height: auto; max-height: 72%; }
        &.-wide #log { min-height: 4; }
        &.-normal #layers { height: auto; max-height: 45%; }
        &.-wide .-empty, &.-normal .-empty, &.-normal .-covered { display: none; }
        &.-normal #left { width: 38; margin-right: 1; }
        &.-normal #figures, &.-one #figures { margin-top: 0; margin-bottom: 0; }
        &.-normal .panel, &.-one .panel { margin-bottom: 0; }
        &.-one .panel, &.-one #left, &.-one #right { display: none; }
        &.-one .-shown, &.-one #left.-shown, &.-one #right.-shown {
            display: block; width: 1fr; height: 1fr; max-height: 100%; margin-right: 0;
        }
    }
    """

    def __init__(self, live: LiveRun) -> None:
        super().__init__()
        self.live = live
        self.frozen: Session | None = None
        self.view = curves.View()
        self.shown = "live"
        self.zoomed = False
        self._painted: object = None
        self._picture = live.session
        self._summarised = live.session.finished

    def compose(self) -> ComposeResult:
        """Heading, figures, two columns of panels, keys."""
        yield Lines(id="heading")
        yield Lines(id="progress")
        yield Lines(id="trouble")
        yield Lines(id="figures")
        with Horizontal(id="columns"):
            with Vertical(id="left"):
                yield Panel("live", id="live")
                yield Panel("epochs", id="epochs", follow=True)
            with Vertical(id="right"):
                yield MenuPanel("layers", id="layers")
                yield Panel("result", id="result")
                yield Panel("log", id="log")
        yield KeyBar("run", allowed=self.allows)

    def on_mount(self) -> None:
        """Begins to paint, four times a second."""
        if self.live.session.finished:
            self._look_at("result")
        self.set_interval(1 / 4, self.tick, name="paint")

    def on_resize(self) -> None:
        """Chooses how much fits."""
        width, height = self.app.size
        wide, normal = width >= 108 and height >= 30, width >= 76 and height >= 20
        mode = "-one" if self.zoomed or not (wide or normal) else "-wide" if wide else "-normal"
        for name in ("-one", "-wide", "-normal"):
            self.set_class(name == mode, name)
        self._show()
        self.call_after_refresh(self.tick, force=True)

    def tick(self, *, force: bool = False) -> None:
        """Paints what changed since the last time."""
        live = self.live
        if not self.query("#log"):  # the app is closing
            return
        session = self.frozen or live.session
        sizes = tuple(self.query_one(f"#{name}").size for name in PANELS)
        state = (session, self.view, live.lost, live.paused, live.stopping, sizes)
        if not force and self._painted == state:
            return
        self._painted, self._picture = state, session
        if live.session.finished and not self._summarised:
            self._summarised = True
            if session.pruned:
                self._look_at("result")
        with self.app.batch_update():
            self._paint(session)

    def _paint(self, session: Session) -> None:
        width = self.app.size.width
        tall_enough = self.has_class("-wide") or (self.zoomed and self.app.size.height >= 30 and width >= 100)
        rows = 6 if tall_enough else 4 if self.app.size.height >= 22 else 3 if self.app.size.height >= 18 else 2
        self._paint_heading()
        self.query_one("#progress", Lines).put([heading.progress_line(self.live, width)])
        self.query_one("#trouble", Lines).put(heading.trouble(self.live, width))
        self.query_one("#figures", Lines).put(figures.paint(session, width, rows=rows))
        for name in PANELS:
            panel = self.query_one(f"#{name}", Lines)
            lines = self._lines(name, session, panel)
            if name == "epochs":  # a sweep has points instead
                panel.set_class("sweep" in session.results and not lines, "-empty")
            if name == "result":
                panel.set_class(not lines, "-empty")
                self.query_one("#layers").set_class(bool(lines), "-less")
                self.query_one("#log").set_class(bool(lines) and self.shown != "log", "-covered")
                panel.set_class(self.shown == "log", "-covered")
            if not panel.display and not panel.has_class("-shown"):
                continue
            if isinstance(panel, MenuPanel):
                panel.fill(tables.layers(session, panel.size.width - 1) or [("", line((" not known yet", "quiet")))])
            else:
                panel.put(lines)
        self.query_one(KeyBar).update_keys()

    def _paint_heading(self) -> None:
        words = heading.heading(self.live, self.app.size.width, frozen=self.frozen is not None)
        self.query_one("#heading", Lines).put([words])

    def _lines(self, name: str, session: Session, panel: Lines) -> list[Line]:
        width = max(20, panel.scrollable_content_region.width)
        points = session.results.get("sweep") or ()
        if name == "live" and sweep.is_sweep(points) and not session.epochs:
            drawn = sweep.chart(points, session.metric.name, width, panel.size.height if self.has_class("-one") else 16)
            return drawn or [line((" no point has been measured yet", "quiet"))]
        if name == "live":
            count = len(curves.series(session)) * (2 if self.view.overlay else 1)
            roomy = self.has_class("-wide") and count < 6
            height = panel.size.height if self.has_class("-one") else 3 * count - 1 if roomy else count
            return curves.paint(session, width, height, self.view)
        if name == "epochs":
            panel.pin(tables.epochs_head(session, width))
            return tables.epochs(session, width)
        if name == "result":
            return result.paint(session, width) or (
                [line((" measured at the end", "quiet"))] if self.has_class("-one") else []
            )
        if name == "log":
            tail = self.live.log_tail() if session.state == "failed" or self.live.lost else []
            worker = [line((" the runner's own log, its end:", "heading"))]
            worker += [part for row in tail for part in wrap(row, width - 1, style="quiet", most=3, indent=" ")]
            return [*(worker if tail else []), *tables.log(session, width)]
        return []

    def allows(self, key: keys.Key) -> bool:
        """What the footer offers: an ended run cannot be paused, one that is going cannot be run again."""
        if self.live.going or self.live.starting:
            return key.id not in ("run.again", "run.resume")
        early = self.live.lost or self.live.session.state in ("failed", "stopped")
        folder = self.live.folder
        early = early and (folder is None or (folder / "checkpoint").exists())
        return key.id not in ("run.pause", "run.freeze", "run.stop") and (key.id != "run.resume" or bool(early))

    # ---- what can be done ------------------------------------------------------------------------------------------

    def _show(self) -> None:
        for name in PANELS:
            self.query_one(f"#{name}").set_class(name == self.shown, "-shown")
        self.query_one("#left").set_class(self.shown in LEFT, "-shown")
        self.query_one("#right").set_class(self.shown not in LEFT, "-shown")

    def _look_at(self, name: str) -> None:
        self.shown = name
        self._show()

    def action_next_panel(self, step: int = 1) -> None:
        """Next panel: takes the place of one where not all fit, and gets the keyboard."""
        names = [n for n in PANELS if self.has_class("-one") or not self.query_one(f"#{n}").has_class("-empty")]
        focused = self.focused.id if self.focused is not None else None
        now = self.shown if self.has_class("-one") or focused not in names else str(focused)
        at = names.index(now) if now in names else -step
        self._look_at(names[(at + step) % len(names)])
        self.call_after_refresh(self._focus_shown)

    def _focus_shown(self) -> None:
        self.tick(force=True)
        self.query_one(f"#{self.shown}").focus()

    def jump_to(self, target: Widget) -> None:
        """Brings a panel to the front and gives it the keyboard."""
        self._look_at(str(target.id))
        self.call_after_refresh(self._focus_shown)

    def action_zoom(self) -> None:
        """One panel alone, and back."""
        if not self.zoomed and self.focused is not None and self.focused.id in PANELS:
            self._look_at(str(self.focused.id))
        self.zoomed = not self.zoomed
        self.on_resize()

    def action_pause(self) -> None:
        """Pauses the run, or lets it go on."""
        if self.live.going:
            begin(self, partial(self._tell, self.live.toggle_pause), exclusive=True, group="tell")

    def action_freeze(self) -> None:
        """Stops the picture as it is, or lets it catch up: that is said at once, the rest comes with the next tick."""
        self.frozen = self._picture if self.frozen is None and self.live.going else None
        self._paint_heading()

    def action_stop(self) -> None:
        """Asks, then stops the run."""
        if not self.live.going:
            self.app.say("This run has ended already.")
            return
        from tui.screens.ask import Ask

        def answered(answer: str | None) -> None:
            if answer == "stop":
                begin(self, partial(self._tell, self.live.stop), group="tell")

        ask = Ask(
            f"Stop {self.live.session.name}?", ("n", "no, let it go on", ""), ("x", "stop it", "stop"),
            more="It ends within a moment. What it has so far is saved, and it can be resumed.",
        )  # fmt: skip
        self.app.push_screen(ask, answered)

    async def _tell(self, what: Callable[[], Awaitable[None]]) -> None:
        """Tells the run something; it may have ended meanwhile, or not answer."""
        try:
            await what()
        except (PruneError, OSError) as error:
            self.app.say(str(error), error=True)

    def action_layer(self) -> None:
        """Looks into the chosen layer."""
        menu = self.query_one("#layers", MenuPanel)
        if menu.chosen:
            from tui.screens.layer import LayerScreen

            self.app.push_screen(LayerScreen(self.live, menu.chosen), lambda key: menu.choose(key or ""))

    def on_menu_pressed(self) -> None:
        """A click on the chosen layer looks into it."""
        self.action_layer()

    def action_smooth(self) -> None:
        """The next strength of smoothing."""
        now = SMOOTHING.index(self.view.smoothing)
        self._look(smoothing=SMOOTHING[(now + 1) % len(SMOOTHING)])
        self.app.say(f"smoothing {self.view.smoothing:g}" if self.view.smoothing else "not smoothed")

    def action_logarithm(self) -> None:
        """Loss on a logarithmic scale, and back."""
        self._look(log=not self.view.log)
        self.app.say("loss on a logarithmic scale" if self.view.log else "loss on a linear scale")

    def action_cursor(self, step: int) -> None:
        """Moves the reading cursor by one epoch."""
        count = curves.points(self.live.session)
        if count:
            at = count - 1 if self.view.cursor is None else self.view.cursor + step
            self._look(cursor=min(max(at, 0), count - 1))

    def action_overlay(self) -> None:
        """Lays the last earlier session of this recipe over the curves, or takes it away."""
        if self.view.overlay is not None:
            self._look(overlay=None)
            return
        earlier = self.app.desk.earlier(self.live)
        if earlier is None:
            self.app.say(f"There is no earlier session of {self.live.session.name} to compare with.")
        else:
            self._look(overlay=earlier)

    def action_plots(self) -> None:
        """Plots of this run, followed while it goes on."""
        from tui import plots

        folder = (self.live.folder or self.app.runs) / "exports" / "plots"
        plots.show(self.app, self.live.session.name, lambda: plots.of_session(self.live.session), folder)

    def action_again(self) -> None:
        """Runs the same recipe once more."""
        if self.live.going:
            self.app.say("It is still going.")
        else:
            self.app.run_again(self.live.session)

    def action_resume(self) -> None:
        """Goes on from the last checkpoint."""
        self.app.resume_run(self.live)

    def action_back(self) -> None:
        """Leaves the reading cursor, the zoom, then the screen."""
        if self.view.cursor is not None:
            self._look(cursor=None)
        elif self.zoomed:
            self.action_zoom()
        else:
            self.app.pop_screen()

    def _look(self, **changes: object) -> None:
        from dataclasses import replace

        self.view = replace(self.view, **changes)  # type: ignore[arg-type]
        self.tick(force=True)
