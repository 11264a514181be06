"""The app: which runs are open, which screen is up, and how it ends. It paints nothing itself."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen

import engine.presets
from engine.errors import PruneError
from engine.recipe import Recipe
from engine.session import Session
from tui import config, keys, shelf, theme
from tui.desk import Desk, refusal
from tui.feed import EngineFactory
from tui.live import LiveRun
from tui.screens.presets import PresetsScreen
from tui.working import begin

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class PruneApp(App[int]):
    """prune-tui.

    Args:
        runs: the folder in which runs are kept.
        start: a preset to choose, or a run's folder to open at once.
        feed_factory: makes the engine's side; None is the real one (`tui.engine_side`).
        presets: where the presets are, by name.
        settings: None reads the user's.
        memory: the file of what is remembered; None is the user's.
    """

    TITLE = "prune-tui"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("app")]

    def __init__(
        self,
        runs: Path,
        *,
        start: str | None = None,
        feed_factory: EngineFactory | None = None,
        presets: Callable[[], Mapping[str, Path]] = engine.presets.paths,
        settings: config.Config | None = None,
        memory: Path | None = None,
    ) -> None:
        super().__init__()
        for one in (*theme.THEMES, theme.PLAIN):
            self.register_theme(one)
        self.runs = runs
        self.desk = Desk(runs, feed_factory)
        self.settings = settings if settings is not None else config.load()
        self._memory = memory
        self.remembered = config.recall(memory)
        self.user_keys = self.settings.keys
        self.set_keymap(self.user_keys)
        wanted = self.remembered.get("theme", self.settings.theme)
        known = wanted if wanted in self.available_themes else theme.DEFAULT
        self.theme = theme.PLAIN.name if self.no_color else known
        self.painted = False
        self.last_resort: threading.Timer | None = None
        self._start = start
        self.first_preset = start if start and not Path(start).is_dir() else str(self.remembered.get("preset", ""))
        self.shelf = shelf.Shelf(presets, engine.presets.shipped_folder())
        self.presets = self.shelf.read()
        self.history = shelf.History(runs)

    # ---- beginning and end -----------------------------------------------------------------------------------------

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own colours, for themes that lack them."""
        return theme.variables()

    def get_default_screen(self) -> Screen[Any]:
        """The presets, at once: an empty screen before them would cost a layout and a paint."""
        return PresetsScreen()

    def on_mount(self) -> None:
        """Begins to listen for signals; all that is slow waits until they are on the screen."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._end, 128 + number)
        self.call_after_refresh(self.set_timer, 0.05, self._after_first_paint)

    def _end(self, code: int) -> None:
        """A signal: leaves in order; where the terminal is gone and its closing hangs, leaves all the same."""
        self.exit(None, code)
        self.last_resort = threading.Timer(2.0, os._exit, (code,))
        self.last_resort.daemon = True
        self.last_resort.start()

    def _after_first_paint(self) -> None:
        self.painted = True
        if not gc.isenabled():
            gc.freeze()  # modules and style sheets need no looking through, now or later
            gc.enable()
        for problem in self.settings.problems:
            self.say(problem, error=True)
        self.set_interval(0.5, self._watch)
        begin(self, self._warm, group="engine")
        begin(self, self._tell_of_left, group="left")
        if isinstance(self.screen, PresetsScreen):
            self.screen.on_screen_resume()
        if self._start and Path(self._start).is_dir():
            self.open_run(Path(self._start))

    async def _warm(self) -> None:
        try:
            await self.desk.warm()
        except PruneError as error:
            self.say(str(error), error=True)
        self._watch()

    async def _tell_of_left(self) -> None:
        """Says of a run that was left going how to come back to it."""
        left = await asyncio.to_thread(self.history.newest, going=True)
        if left is not None and not self.desk.open:
            self.say(f"{left.name} is still going: press r to follow it")

    async def on_unmount(self) -> None:
        """Hangs up everywhere; what was left running goes on."""
        await self.desk.close()

    @property
    def engine_words(self) -> str:
        """How the engine is, for the header."""
        side = self.desk.engine
        return f"{side.words if side else ''}   {os.cpu_count() or 1} CPU".strip()

    def _watch(self) -> None:
        from tui import notifying

        for screen in self.screen_stack:
            if isinstance(screen, PresetsScreen) and screen.is_mounted:
                screen.update_top()
        for run in self.desk.ended():
            notifying.tell(self, run, self.settings.notify)
            if getattr(self.screen, "live", None) is not run:
                self.say(f"{run.session.name}: {run.lost or run.session.state}")

    # ---- runs ------------------------------------------------------------------------------------------------------

    def start_run(self, recipe: Recipe) -> None:
        """Starts a run and shows it; the start itself happens beside the screen."""
        if words := refusal(recipe):
            self.say(words, error=True)
        else:
            self._show(self.desk.start(recipe))

    def open_run(self, folder: Path) -> None:
        """Shows a run that is there: follows it, or replays it."""
        self._show(self.desk.attach(folder))

    def resume_run(self, live: LiveRun) -> None:
        """Goes on with a run that ended early."""
        again = self.desk.resume(live)
        if again is None:
            self.say("There is no checkpoint to go on from; press r to run it again.")
        else:
            self._show(again)

    def run_again(self, session: Session) -> None:
        """Starts the recipe of an ended run once more."""
        from engine.recipe_reading import recipe_from
        from engine.yaml12 import Document

        try:
            recipe = recipe_from(Document(session.recipe, {}, session.name))
        except PruneError as error:
            self.say(str(error), error=True)
            return
        self.start_run(recipe)

    def enqueue(self, recipe: Recipe) -> None:
        """Runs a recipe when what is going has ended."""
        if words := refusal(recipe):
            self.say(words, error=True)
            return
        self.desk.queue.append(recipe)
        self.say(f"{recipe.name} waits; {len(self.desk.queue)} in the queue")

    # ---- screens ---------------------------------------------------------------------------------------------------

    def _show(self, live: LiveRun) -> None:
        from tui.screens.run import RunScreen

        if isinstance(self.screen, RunScreen):
            self.pop_screen()
        self.push_screen(RunScreen(live))

    def open_last_run(self) -> None:
        """The run that is going, or the one that ended last."""
        runs = self.desk.going or self.desk.open
        if runs:
            self._show(runs[-1])
            return
        folder = self.history.newest(going=True) or self.history.newest()
        if folder is not None:
            self.open_run(folder)
        else:
            self.say("Nothing was run yet: choose a preset and press Enter.")

    def open_sessions(self) -> None:
        """All that was run here."""
        from tui.screens.sessions import SessionsScreen

        self.push_screen(SessionsScreen())

    def open_configure(self, recipe: Recipe) -> None:
        """The form for a recipe."""
        from tui.screens.configure import ConfigureScreen

        self.push_screen(ConfigureScreen(recipe))

    def reload_presets(self) -> None:
        """Reads the preset files again."""
        self.presets = self.shelf.read()

    @property
    def user_presets(self) -> Path:
        """Where a user's own presets go."""
        return engine.presets.user_folder()

    def remember(self, **values: Any) -> None:
        """Keeps something for the next time."""
        self.remembered |= values
        config.remember(self.remembered, self._memory)

    def say(self, words: str, *, error: bool = False) -> None:
        """A short word in the corner."""
        self.notify(words, severity="error" if error else "information", timeout=8 if error else 3, markup=False)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: what can be done here, from the one table of keys."""
        for scope in (getattr(screen, "scope", ""), "app"):
            for key in keys.of(scope):
                face = keys.face(key, self.user_keys)
                namespace: Any = self if scope == "app" else screen
                yield SystemCommand(f"{key.word} ({face})", key.help, partial(self.run_action, key.action, namespace))

    def action_help(self) -> None:
        """What can be done here."""
        from tui.screens.help import Help

        self.push_screen(Help(getattr(self.screen, "scope", "app")))

    def action_jump(self) -> None:
        """A letter at every panel."""
        from tui.screens import jump

        jump.begin(self.screen)

    def action_next_theme(self) -> None:
        """The next of our themes."""
        at = theme.NAMES.index(self.theme) if self.theme in theme.NAMES else -1
        self.theme = theme.NAMES[(at + 1) % len(theme.NAMES)]
        self.remember(theme=self.theme)
        self.say(self.theme)

    async def action_quit(self) -> None:
        """Quits; with a run going, asks what shall become of it."""
        going = self.desk.going
        if not going:
            self.exit(0)
            return
        from tui import leaving

        leaving.ask(self, going)


def run_app(runs: Path, *, start: str | None = None, feed_factory: EngineFactory | None = None) -> int:
    """Runs the app until it is left.

    Args:
        runs: the folder in which runs are kept.
        start: a preset to choose, or a run's folder to open.
        feed_factory: makes the engine's side; None is the real one.

    Returns:
        The exit status: 0, or 128 + n when it was ended by signal n.
    """
    app = PruneApp(runs, start=start, feed_factory=feed_factory)
    app.run()
    if app.last_resort is not None:
        app.last_resort.cancel()
    return app.return_code or 0
