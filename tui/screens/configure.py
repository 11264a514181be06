"""Configure: a recipe as a form; the sentence above changes along, and nothing is saved until one saves it."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.screen import Screen

import engine.presets
from engine import catalog
from engine.errors import PruneError
from engine.files import write_atomically
from engine.recipe import Recipe, load_recipe, to_yaml
from engine.recipe_reading import Wrong
from engine.sentence import sentence
from tui import form, history, keys
from tui.paint import numbers as n
from tui.paint import page
from tui.paint.lines import Line, cut, left, line, wrap
from tui.widgets.keybar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.menu import Menu, Row
from tui.widgets.panel import MenuPanel, Panel

if TYPE_CHECKING:
    from tui.app import PruneApp

LABEL = 20


class ConfigureScreen(Screen[None]):
    """Fields at the left, the recipe as YAML at the right."""

    app: PruneApp
    scope = "configure"
    AUTO_FOCUS = "#form"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("configure")]
    DEFAULT_CSS = """
    ConfigureScreen {
        layout: vertical; background: $background;
        & > #words { height: auto; max-height: 6; margin-bottom: 1; }
        & #form { width: 1fr; }
        & #yaml { width: 0.8fr; margin-left: 2; }
        & > #doc { height: 2; margin-top: 1; }
        &.-narrow #yaml { display: none; }
        &.-low > #words { margin-bottom: 0; max-height: 3; }
        &.-low > #doc { margin-top: 0; height: 1; }
    }
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.values = form.plain(recipe)
        self.recipe: Recipe | None = recipe
        self.problems: tuple[str, ...] = ()
        self.fields: dict[str, form.Field] = {}

    def compose(self) -> ComposeResult:
        """Sentence, form, doc of the field, keys."""
        yield Lines(id="words")
        with Horizontal():
            yield MenuPanel("recipe", id="form")
            yield Panel("yaml", id="yaml")
        yield Lines(id="doc")
        yield KeyBar("configure")

    def on_resize(self) -> None:
        """Chooses how much fits."""
        self.set_class(self.app.size.width < 90, "-narrow")
        self.set_class(self.app.size.height < 20, "-low")
        self.call_after_refresh(self.paint)

    def paint(self) -> None:
        """Shows the form as it stands."""
        self.recipe, self.problems = form.check(self.values)
        width = self.app.size.width - 2
        estimates = f"   {self._estimate()}{self._memory()}"
        told: list[Line] = [cut(line((f" {self.values.get('name')}", "strong"), (estimates, "quiet")), width)]
        if self.recipe is not None:
            told += wrap(sentence(self.recipe), width, indent=" ")
        for problem in self.problems:
            told += wrap(problem, width, style="error", indent=" ")
        self.query_one("#words", Lines).put(told)
        self._fill()
        yaml = self.query_one("#yaml", Panel)
        yaml.put(
            page.yaml(to_yaml(self.recipe))
            if self.recipe is not None
            else [line((" not while something is wrong", "quiet"))]
        )
        self._doc()

    def _fill(self) -> None:
        menu = self.query_one(Menu)
        width = max(24, menu.size.width - 2)
        rows: list[Row] = []
        self.fields = {}
        for field in form.fields(self.values):
            if field.heading:
                rows.append(("", line((f" {field.heading.upper()}", "heading"))))
            self.fields[field.key] = field
            label = left(f"{'  ' * field.depth}{field.label}", LABEL)
            value = left(form.said(field.value), max(8, width - LABEL - 6))
            arrows = "‹› " if field.choices else "   "
            style = "pruned" if field.kind is not None else "accuracy"
            rows.append(
                (field.key, line((f"   {label}", "quiet" if field.depth else ""), (arrows, "rest"), (value, style)))
            )
        menu.fill(rows)

    def _doc(self) -> None:
        field = self.field
        lines = wrap(field.doc, self.app.size.width - 2, style="quiet", most=2, indent=" ") if field is not None else []
        self.query_one("#doc", Lines).put(lines)

    @property
    def field(self) -> form.Field | None:
        """The field under the cursor."""
        return self.fields.get(self.query_one(Menu).chosen)

    def _estimate(self) -> str:
        last = self.app.history.last(str(self.values.get("name")))
        if last is None or last.state != "done" or self.recipe is None:
            return "how long it takes is known after its first run"
        if not last.epochs:  # a sweep tells points and no epochs
            return f"about {n.clock(last.updated - last.created)}, by its last run"
        repairs = self.recipe.prune.repair if self.recipe.prune else ()
        epochs = self.recipe.train.epochs + sum(int(part.get("epochs", 0) or 0) for part in repairs)
        return f"about {n.clock((last.updated - last.created) * max(1, epochs) / last.epochs)}, by its last run"

    def _memory(self) -> str:
        from engine.estimating import memory

        need = memory(self.recipe) if self.recipe is not None else None
        return f"   {n.size(need.total)} of memory beside TensorFlow" if need is not None else ""

    def on_menu_moved(self) -> None:
        """Another field."""
        self._doc()

    def on_menu_pressed(self) -> None:
        """A click on the chosen field edits it."""
        self.action_edit()

    # ---- what can be done ------------------------------------------------------------------------------------------

    def _put(self, values: form.Plain) -> None:
        self.values = values
        self.paint()

    def action_step(self, by: int) -> None:
        """The choice or number before or after."""
        if self.field is not None:
            self._put(form.step(self.values, self.field, by))

    def action_edit(self) -> None:
        """Edits a value, or chooses from a list."""
        field = self.field
        if field is None:
            return
        if field.choices:
            self._pick(field)
            return
        from tui.screens.prompt import Prompt

        def wrong(text: str) -> str:
            value = form.read(field, text)
            return value.message if isinstance(value, Wrong) else ""

        def answered(text: str | None) -> None:
            if text:
                self._put(form.put(self.values, field, form.read(field, text)))

        self.app.push_screen(Prompt(f"{field.label}: {field.doc}", form.said(field.value), wrong=wrong), answered)

    def _pick(self, field: form.Field) -> None:
        from tui.screens.ask import Ask

        def answered(name: str | None) -> None:
            if name:
                value = name == "true" if field.kind is None and field.choices == ("true", "false") else name
                self._put(form.put(self.values, field, value))

        titles = {e.name: e.title for e in catalog.entries(field.kind).values()} if field.kind is not None else {}
        choices = [("•" if name == str(field.value) else " ", titles.get(name, name), name) for name in field.choices]
        self.app.push_screen(Ask(field.label, *choices, more=field.doc, start=str(field.value)), answered)

    def action_run(self) -> None:
        """Runs it as it stands."""
        if self.recipe is None:
            self.app.say(f"It cannot run: {self.problems[0]}", error=True)
            return
        self.app.pop_screen()
        self.app.start_run(self.recipe)

    def action_card(self) -> None:
        """The method cards of the recipe as it stands."""
        from tui.screens.card import Cards

        if self.recipe is not None:
            self.app.push_screen(Cards(self.recipe))

    def action_save(self) -> None:
        """Asks for a name, then saves it among the user's presets."""
        if self.recipe is None:
            self.app.say(f"It cannot be saved: {self.problems[0]}", error=True)
            return
        from tui.screens.prompt import Prompt

        def answered(name: str | None) -> None:
            if name and self.recipe is not None:
                self.values = form.put(self.values, self.fields["name"], name)
                self.paint()
                path = self.app.user_presets / f"{name}.yaml"
                try:
                    write_atomically(path, to_yaml(self.recipe).encode())
                except OSError as error:
                    self.app.say(f"{path} cannot be written: {error.strerror}", error=True)
                else:
                    self.app.remember(preset=name)
                    self.app.say(f"saved as {path}")

        taken = {p.stem for p in engine.presets.shipped_folder().glob("*.yaml")}

        def wrong(text: str) -> str:
            return history.wrong_name(text) or ("a preset that ships has that name" if text in taken else "")

        name = str(self.values.get("name"))
        self.app.push_screen(Prompt("Save it as", f"my-{name}" if name in taken else name, wrong=wrong), answered)

    def action_editor(self) -> None:
        """Opens the recipe in $EDITOR, and reads it again."""
        if self.recipe is None:
            return
        editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.recipe.name}.yaml"
            path.write_text(to_yaml(self.recipe), encoding="utf-8")
            try:
                with self.app.suspend():
                    subprocess.run([*editor, str(path)], check=False)
                self._put(form.plain(load_recipe(path)))
            except PruneError as error:
                self.app.say(str(error), error=True)
            except OSError as error:
                self.app.say(f"{editor[0]} cannot be started: {error.strerror}; set EDITOR", error=True)

    def action_back(self) -> None:
        """Leaves without saving."""
        self.app.pop_screen()
