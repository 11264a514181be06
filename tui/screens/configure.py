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
from engine.presets import SUFFIXES
from engine.recipe import Recipe, load_recipe, to_yaml
from engine.recipe_values import Wrong
from engine.sentence import sentence
from engine.yaml12 import dump
from tui import form, history, keys
from tui.desk import refusal
from tui.paint import numbers as n
from tui.paint import page
from tui.paint.lines import Line, cut, left, length, line, wrap
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
        self.kept, self.origin = self.values, recipe.name
        self.draft = ""  # what was written in the editor and is no recipe yet
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
        told: list[Line] = [self._head(width)]
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

    def _head(self, width: int) -> Line:
        """The name, with the longest way to say what it will cost that fits."""
        from engine.estimating import memory

        seconds, whence = self._seconds()
        need = memory(self.recipe) if self.recipe is not None else None
        takes = f"about {n.clock(seconds)}" if seconds is not None else ""
        bytes_ = n.size(need.total) if need is not None else ""
        ways = (
            (f"{takes}, {whence}" if takes else "how long it takes is known after its first run",
             f"{bytes_} of memory beside TensorFlow" if bytes_ else ""),
            (takes or "time not known yet", f"{bytes_} of memory" if bytes_ else ""),
            (takes, bytes_),
        )  # fmt: skip
        heads = [
            line((f" {self.values.get('name')}", "strong"), ("".join(f"   {w}" for w in way if w), "quiet"))
            for way in ways
        ]
        return next((head for head in heads if length(head) <= width), cut(heads[-1], width))

    def _seconds(self) -> tuple[float | None, str]:
        """How long it may take, by its last run, else by the last one of the same network on the same data."""
        if self.recipe is None:
            return None, ""
        history = self.app.history
        last, whence = history.last(str(self.values.get("name"))), "by its last run"
        if last is None or last.state != "done":
            last, whence = history.alike(self.recipe), "by a run of the same network"
        if last is None:
            return None, ""
        took = last.updated - last.created
        if not last.epochs or _repeats(self.recipe):  # a sweep tells points and no epochs
            return took, whence
        repairs = self.recipe.prune.repair if self.recipe.prune else ()
        epochs = self.recipe.train.epochs + sum(int(part.get("epochs", 0) or 0) for part in repairs)
        return took * max(1, epochs) / last.epochs, whence

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
            if isinstance(value, Wrong):
                return value.message
            return "write a name" if field.path == ("name",) and not text else ""

        def answered(text: str | None) -> None:
            if text is not None:
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
        if words := refusal(self.recipe):
            self.app.say(words, error=True)  # and the form stays: what was typed is not lost
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
            if not name:
                return
            if name != self.origin and any((self.app.user_presets / f"{name}{s}").exists() for s in SUFFIXES):
                self._ask_overwrite(name)
            else:
                self._save(name)

        taken = {p.stem for p in engine.presets.shipped_folder().glob("*.yaml")}

        def wrong(text: str) -> str:
            return history.wrong_name(text) or ("a preset that ships has that name" if text in taken else "")

        name = str(self.values.get("name"))
        self.app.push_screen(Prompt("Save it as", f"my-{name}" if name in taken else name, wrong=wrong), answered)

    def _ask_overwrite(self, name: str) -> None:
        from tui.screens.ask import Ask

        def answered(answer: str | None) -> None:
            if answer == "overwrite":
                self._save(name)
            elif answer == "again":
                self.action_save()

        ask = Ask(
            f"You have a preset {name} already.",
            ("n", "choose another name", "again"), ("o", "overwrite it", "overwrite"), ("c", "do not save", ""),
        )  # fmt: skip
        self.app.push_screen(ask, answered)

    def _save(self, name: str) -> None:
        self._put(form.put(self.values, self.fields["name"], name))
        if self.recipe is None:
            return
        path = self.app.user_presets / f"{name}.yaml"
        try:
            write_atomically(path, to_yaml(self.recipe).encode())
        except OSError as error:
            self.app.say(f"{path} cannot be written: {error.strerror}", error=True)
        else:
            self.kept, self.origin = self.values, name
            self.app.remember(preset=name)
            self.app.say(f"saved as {path}")

    def action_editor(self) -> None:
        """Opens the recipe in $EDITOR, and reads it again; what is no recipe yet is not lost."""
        set_ = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
        try:
            editor = shlex.split(set_) or ["vi"]
        except ValueError as error:
            self.app.say(f"EDITOR is {set_!r}, which is no command: {error}", error=True)
            return
        text = self.draft or (to_yaml(self.recipe) if self.recipe is not None else dump(self.values))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{Path(str(self.values.get('name'))).name or 'recipe'}.yaml"
            path.write_text(text, encoding="utf-8")
            try:
                with self.app.suspend():
                    code = subprocess.run([*editor, str(path)], check=False).returncode
                if code:
                    self.app.say(f"{editor[0]} ended with status {code}; nothing is changed", error=True)
                    return
                self.draft = path.read_text(encoding="utf-8", errors="replace")
                recipe = load_recipe(path)
            except PruneError as error:
                self._ask_mend(str(error).replace(f"{folder}/", ""))
            except OSError as error:
                self.app.say(f"{editor[0]} cannot be started: {error.strerror}; set EDITOR", error=True)
            else:
                self.draft = ""
                self._put(form.plain(recipe))

    def _ask_mend(self, problems: str) -> None:
        from tui.screens.ask import Ask

        def answered(answer: str | None) -> None:
            if answer == "edit":
                self.action_editor()

        ask = Ask(
            "That is no recipe yet.", ("e", "go on editing", "edit"), ("c", "back to the form as it was", ""),
            more=f"{problems}\nWhat you wrote is kept for the next time the editor opens.",
        )  # fmt: skip
        self.app.push_screen(ask, answered)

    def action_back(self) -> None:
        """Leaves; asks where something would be lost."""
        if self.values == self.kept and not self.draft:
            self.app.pop_screen()
            return
        from tui.screens.ask import Ask

        def answered(answer: str | None) -> None:
            if answer == "leave":
                self.app.pop_screen()
            elif answer == "save":
                self.action_save()

        stay, leave = ("c", "stay here", ""), ("l", "leave without it", "leave")
        if self.values == self.kept:
            ask = Ask("What you wrote in the editor is not in the form, and not saved.", stay, leave)
        else:
            ask = Ask("What you changed is not saved.", stay, ("s", "save it as a preset", "save"), leave)
        self.app.push_screen(ask, answered)


def _repeats(recipe: Recipe) -> bool:
    """Whether it trains over and over, in rounds or trials: their number is not in the sum of the epochs."""
    prune = recipe.prune
    return prune is not None and (
        prune.schedule.name in ("iterative", "dynamic") or prune.target.name in ("accuracy_drop", "pq_index")
    )
