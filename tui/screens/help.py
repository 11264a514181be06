"""What can be done here: the keys of the screen below, then those that hold everywhere."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui import keys
from tui.paint.lines import Line, left, line, wrap
from tui.widgets.panel import Panel

ABOUT: dict[str, str] = {
    "presets": "Choose what to do to a network. A preset is a recipe: the page beside the list says in words what will "
    "happen, and Enter makes it happen, here and now. Your own presets are in the list as well.",
    "run": "One run, live. The four numbers say how much is gone and what it cost; all else says how it came about. "
    "Leaving this screen does not stop the run. Freeze stops the picture, pause stops the run.",
    "sessions": "Everything that was run here, newest first. What is still going can be followed.",
    "configure": "Change a recipe part by part; the sentence above changes along. Nothing is saved until you save it.",
    "plots": "One plot at a time, every number of it below. They are saved into the exports of the run, or into "
    "plots in the folder of runs.",
    "layer": "One layer as it stands, and how its weights are spread before and after.",
}


class Help(ModalScreen[None]):
    """The keys, from the one table that the screens use."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,f1,enter", "dismiss", show=False)]
    DEFAULT_CSS = """
    Help { align: center middle; background: $background 60%; }
    Help Panel {
        width: 76; max-width: 96%; height: auto; max-height: 92%; background: $surface; padding: 1 2;
        border: none; border-left: thick $accuracy;
        &:focus { border-top: none; }
    }
    """

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def compose(self) -> ComposeResult:
        """One panel that scrolls."""
        yield Panel("", id="help")

    def on_mount(self) -> None:
        """Writes it in the width there is."""
        width = min(76, int(self.app.size.width * 0.96)) - 6
        panel = self.query_one(Panel)
        panel.put(help_lines(self.scope, width, getattr(self.app, "user_keys", {})))
        panel.focus()


def help_lines(scope: str, width: int, keymap: dict[str, str]) -> list[Line]:
    """The help of a screen, as lines."""
    out: list[Line] = wrap(ABOUT.get(scope, ""), width)
    for part in dict.fromkeys((scope, "list", "app")):
        rows = keys.of(part)
        if not rows:
            continue
        out += [line(""), line((keys.SCOPES[part], "heading"))]
        for key in rows:
            first, *rest = wrap(key.help, max(16, width - 14))
            out.append(line((f"{left(faces(key, keymap), 12)}  ", "key"), *first))
            out += [line(" " * 14, *more) for more in rest]
    words = "Any of these keys can be changed in config.yaml of the settings folder, as in `keys: {run.stop: X}`."
    return [*out, line(""), *wrap(words, width, style="quiet")]


def faces(key: keys.Key, keymap: dict[str, str]) -> str:
    """All keys of an entry, the first as the footer has it."""
    pressed = keymap.get(key.id, key.keys).split(",")
    names = {"slash": "/", "question_mark": "?", "down": "↓", "up": "↑", "pagedown": "pgdn", "pageup": "pgup"}
    return " ".join([keys.face(key, keymap), *(names.get(p, p.replace("ctrl+", "^")) for p in pressed[1:])])
