"""Presets: choose a recipe, read what it will do, press Enter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from tui import keys
from tui.paint import page
from tui.paint.lines import left, line, middle, right, spread
from tui.shelf import Preset
from tui.widgets.keybar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.menu import Menu, Row
from tui.widgets.panel import MenuPanel, Panel
from tui.working import begin

if TYPE_CHECKING:
    from textual.widgets import Input

    from tui.app import PruneApp


class PresetsScreen(Screen[None]):
    """The list at the left, the page of the chosen preset at the right."""

    app: PruneApp
    scope = "presets"
    AUTO_FOCUS = "#list"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("presets")]
    DEFAULT_CSS = """
    PresetsScreen {
        layout: vertical; background: $background;
        & > #top { height: 1; margin-bottom: 1; }
        & #left { width: 42; margin-right: 2; }
        & #filter { height: 1; border: none; padding: 0 1; background: $surface; }
        & #words { height: auto; max-height: 70%; }
        & #yaml { margin-top: 1; }
        &.-narrow #left { width: 30; margin-right: 1; }
        &.-narrow #yaml { display: none; }
        &.-narrow #words { height: 1fr; max-height: 100%; }
        &.-narrow.-yaml #yaml { display: block; margin-top: 0; }
        &.-narrow.-yaml #words { display: none; }
        &.-one #top { margin-bottom: 0; }
        &.-one #left { width: 1fr; margin-right: 0; }
        &.-one #right { display: none; }
        &.-one.-page #left { display: none; }
        &.-one.-page #right { display: block; }
        &.-one #yaml { display: none; }
        &.-one #words { height: 1fr; max-height: 100%; }
        &.-one.-yaml #yaml { display: block; margin-top: 0; }
        &.-one.-yaml #words { display: none; }
        &.-wide.-yaml #words { display: none; }
        &.-wide.-yaml #yaml { margin-top: 0; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.words, self.one, self.list_width, self.page_width = "", False, 42, 76
        self._fitted = Size(0, 0)
        self._paged: tuple[Preset, int, object] | None = None

    def compose(self) -> ComposeResult:
        """List, page, keys."""
        yield Lines(id="top")
        with Horizontal():
            with Vertical(id="left"):
                yield MenuPanel("presets", id="list")
            with Vertical(id="right"):
                yield Panel("what it does", id="words")
                yield Panel("yaml", id="yaml")
        yield KeyBar("presets", allowed=self.allows)

    def on_mount(self) -> None:
        """Shows the list at once; what needs reading of old sessions comes after the first paint."""
        menu = self.query_one(Menu)
        menu.wish(self.app.first_preset)
        self._fit()
        menu.focus()

    def on_screen_resume(self) -> None:
        """Comes back from a run: its result is now the last one, and files may have been mended."""
        if self.app.painted:
            self.app.reload_presets()
            self._list()
            self._page()
            begin(self, self._check, exclusive=True, group="check")

    async def _check(self) -> None:
        """Holds each preset against the catalog, one between two key presses."""
        broken = False
        for preset in self.app.presets:
            if not preset.checked:
                broken |= preset.recipe is None
                await asyncio.sleep(0.001)
        if broken:
            self._list()

    def on_resize(self) -> None:
        """Paints in the new width."""
        if self.app.size != self._fitted:
            self._fit()

    def _fit(self) -> None:
        """Chooses how much fits. Widths follow from the mode, so that the first layout is the last one."""
        width, height = self._fitted = self.app.size
        self.one = width < 70 or height < 16
        wide = width >= 100 and height >= 28
        self.list_width = width if self.one else 42 if wide else 30
        self.page_width = width if self.one else width - self.list_width - (2 if wide else 1)
        self.set_classes(" ".join(name for name in ("-yaml", "-page") if self.has_class(name)))
        self.add_class("-one" if self.one else "-wide" if wide else "-narrow")
        self._list()
        self._page()
        self.update_top()
        self.query_one(KeyBar).update_keys()

    def allows(self, key: keys.Key) -> bool:
        """What the footer offers: the way to the page, where it is not beside the list anyway."""
        return self.one or key.id != "presets.other"

    @property
    def chosen(self) -> Preset | None:
        """The preset under the cursor."""
        name = self.query_one(Menu).chosen
        return next((p for p in self.app.presets if p.name == name), None)

    def update_top(self) -> None:
        """The first line: the app's name, and how the engine is."""
        width = self.app.size.width
        going, waiting = len(self.app.desk.going), len(self.app.desk.queue)
        told = f"{going} going   {f'{waiting} in the queue   ' if waiting else ''}" if going else ""
        end = line((told, "pruned"), (f"{self.app.engine_words} ", "quiet"))
        for top in self.query("#top").results(Lines):  # none any more while the app is closing
            top.put([spread(line((" prune-tui", "strong")), end, width)])

    def _list(self) -> None:
        menu = self.query_one(Menu)
        width = self.list_width - 2
        rows: list[Row] = []
        family = None
        shown = [p for p in self.app.presets if p.matches(self.words)]
        for preset in shown:
            if preset.family != family:
                family = preset.family
                rows.append(("", line((f" {left(family.upper(), width)}", "heading"))))
            goal = preset.goal
            name = f"   {left(middle(preset.name, width - 12), width - 12)}"
            rows.append((preset.name, line(name, (right(goal, 9), "error" if goal == "broken" else "pruned"))))
        if not shown and self.words:
            rows = [("", line((f" nothing matches {self.words!r}; esc shows all", "quiet")))]
        elif not shown:
            rows = [
                ("", line((" no presets were found; put a recipe", "quiet"))),
                ("", line((f" into {self.app.user_presets}", "quiet"))),
            ]
        menu.fill(rows)
        menu.border_title = f" presets  {len(shown)} of {len(self.app.presets)} " if self.words else " presets "

    def _page(self) -> None:
        preset, words, yaml = self.chosen, self.query_one("#words", Panel), self.query_one("#yaml", Panel)
        if preset is None:
            words.put([])
            yaml.put([])
            self._paged = None
            return
        last = self.app.history.last(preset.name) if self.app.painted else None
        shown = self._paged
        if shown is not None and shown[0] is preset and shown[1:] == (self.page_width, last):
            return
        self._paged = (preset, self.page_width, last)
        words.border_title = f" {preset.name} "
        words.put(page.words(preset, last, self.page_width - 1))
        yaml.border_title = f" yaml  {preset.path.name} "
        yaml.put(page.yaml(preset.text))
        words.scroll_home(animate=False)
        yaml.scroll_home(animate=False)

    def on_menu_moved(self) -> None:
        """Another preset: its page."""
        self._page()

    def on_menu_pressed(self) -> None:
        """A click on the chosen preset runs it."""
        self.action_run()

    def action_run(self) -> None:
        """Runs the chosen preset."""
        preset = self.chosen
        if preset is None:
            return
        if preset.recipe is None:
            self.app.say(f"{preset.name} is broken: {preset.problems[0]}", error=True)
            return
        self.app.remember(preset=preset.name)
        self.app.start_run(preset.recipe)

    def action_queue(self) -> None:
        """Adds the chosen preset to the queue."""
        preset = self.chosen
        if preset is not None and preset.recipe is not None:
            self.app.enqueue(preset.recipe)

    def action_yaml(self) -> None:
        """YAML instead of words, and back; on a small screen that is the page."""
        if self.one and not self.has_class("-page"):
            self.add_class("-page", "-yaml")
        else:
            self.toggle_class("-yaml")
        self.call_after_refresh(self._page)
        if self.has_class("-page"):
            self.call_after_refresh(self.query_one("#yaml" if self.has_class("-yaml") else "#words").focus)

    def action_card(self) -> None:
        """The method cards of the chosen preset."""
        from tui.screens.card import Cards

        preset = self.chosen
        if preset is not None and preset.recipe is not None:
            self.app.push_screen(Cards(preset.recipe))

    def action_other(self) -> None:
        """List or page, where both do not fit; else the keyboard goes to the other one."""
        if self.has_class("-one"):
            self.toggle_class("-page")
            target = "#list" if not self.has_class("-page") else "#yaml" if self.has_class("-yaml") else "#words"
            self.call_after_refresh(self._page)
        else:
            target = "#list" if not self.query_one(Menu).has_focus else "#yaml" if self.has_class("-yaml") else "#words"
        self.call_after_refresh(self.query_one(target).focus)

    def jump_to(self, target: Widget) -> None:
        """Brings the list or a page to the front and gives it the keyboard."""
        if target.id in ("words", "yaml"):
            self.set_class(target.id == "yaml", "-yaml")
        self.set_class(self.one and target.id in ("words", "yaml"), "-page")
        self.call_after_refresh(self._page)
        self.call_after_refresh(target.focus)

    def action_filter(self) -> None:
        """Opens the filter, above the list."""
        self.remove_class("-page")
        found = self.query("#filter")
        if found:
            found.first().focus()
            return
        from textual.widgets import Input

        box = Input(placeholder="filter", id="filter", compact=True)
        self.query_one("#left").mount(box, before=0)
        box.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrows the list with each letter, and goes to what it names best."""
        self.words = event.value
        self._list()
        typed, shown = self.words.strip().lower(), [key for key in self.query_one(Menu).keys if key]
        if typed and shown:
            named = [key for key in shown if key.lower().startswith(typed)]
            self.query_one(Menu).choose((named or shown)[0])

    def on_input_submitted(self) -> None:
        """The list takes the keyboard."""
        self.query_one(Menu).focus()

    def key_escape(self) -> None:
        """Closes the filter; on a small screen, leaves the page."""
        self.remove_class("-page", "-yaml")
        self.words = ""
        self.query("#filter").remove()
        self._list()
        self.call_after_refresh(self._page)
        self.query_one(Menu).focus()

    def key_down(self) -> None:
        """From the filter into the list."""
        if not self.query_one(Menu).has_focus:
            self.query_one(Menu).focus()

    def action_sessions(self) -> None:
        """Opens what was run."""
        self.app.open_sessions()

    def action_configure(self) -> None:
        """Opens the chosen preset in the form."""
        preset = self.chosen
        if preset is not None and preset.recipe is not None:
            self.app.open_configure(preset.recipe)
        elif preset is not None:
            self.app.say(f"{preset.name} is broken; mend {preset.path.name} first", error=True)

    def action_going(self) -> None:
        """Back to the run that is going."""
        self.app.open_last_run()
