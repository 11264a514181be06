"""A question that must be answered before something is lost."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui.paint.lines import Line, line, wrap
from tui.widgets.lines import Lines
from tui.widgets.menu import Menu

Choice = tuple[str, str, str]  # key, words, answer


class Ask(ModalScreen[str]):
    """Shows a question and its answers; gives back the answer, or "" where Escape was pressed.

    Args:
        question: one sentence.
        choices: each with the letter that gives it; the first one is chosen at the start, so it should lose nothing.
        more: what to know before answering.
        start: the answer that is chosen at the start; without it the first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer('')", show=False),
        Binding("enter", "take", show=False),
    ]
    DEFAULT_CSS = """
    Ask { align: center middle; background: $background 60%; }
    Ask > Vertical {
        width: 64; max-width: 94%; height: auto; max-height: 90%; padding: 1 2; background: $surface;
        border-left: thick $accuracy;
    }
    Ask Lines, Ask Menu { background: $surface; height: auto; }
    Ask Menu { margin-top: 1; max-height: 18; }
    """

    def __init__(self, question: str, *choices: Choice, more: str = "", start: str = "") -> None:
        super().__init__()
        self.question, self.choices, self.more, self.start = question, choices, more, start

    def compose(self) -> ComposeResult:
        """The question above its answers."""
        with Vertical():
            yield Lines(id="question")
            yield Menu(id="answers")

    def on_mount(self) -> None:
        """Writes them."""
        width = min(64, int(self.app.size.width * 0.94)) - 5
        told: list[Line] = wrap(self.question, width, style="strong")
        if self.more:
            told += wrap(self.more, width, style="quiet")
        self.query_one("#question", Lines).put(told)
        menu = self.query_one(Menu)
        menu.fill([(answer, line((f" {key} ", "key"), f" {words}")) for key, words, answer in self.choices])
        menu.choose(self.start)
        menu.focus()

    def action_answer(self, answer: str) -> None:
        """Closes with this answer."""
        self.dismiss(answer)

    def action_take(self) -> None:
        """Closes with the chosen one."""
        self.dismiss(self.query_one(Menu).chosen)

    def on_menu_pressed(self, event: Menu.Pressed) -> None:
        """A click on the chosen answer gives it."""
        self.dismiss(event.key)

    def on_key(self, event: events.Key) -> None:
        """The letter of an answer gives it."""
        for key, _, answer in self.choices:
            if event.key == key:
                event.stop()
                self.dismiss(answer)
                return
