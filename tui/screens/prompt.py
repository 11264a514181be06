"""Asks for one line of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.paint.lines import line, wrap
from tui.widgets.lines import Lines


class Prompt(ModalScreen[str | None]):
    """Shows a question and a line to write on; gives back what was written, or None where Escape was pressed.

    Args:
        question: what is asked.
        value: what stands there at first.
        wrong: says what is wrong with a text while it is typed; "" lets it pass.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]
    DEFAULT_CSS = """
    Prompt { align: center middle; background: $background 60%; }
    Prompt > Vertical {
        width: 64; max-width: 94%; height: auto; padding: 1 2; background: $surface; border-left: thick $accuracy;
    }
    Prompt Lines { background: $surface; }
    Prompt Input { border: none; height: 1; padding: 0; margin: 1 0; background: $row; }
    """

    def __init__(self, question: str, value: str = "", *, wrong: Callable[[str], str] = lambda _: "") -> None:
        super().__init__()
        self.question, self.value, self.wrong = question, value, wrong

    def compose(self) -> ComposeResult:
        """Question, line, what is wrong."""
        with Vertical():
            yield Lines(id="question")
            yield Input(self.value, id="answer", compact=True, select_on_focus=True)
            yield Lines([line(("enter takes it, esc leaves it", "quiet"))], id="wrong")

    def on_mount(self) -> None:
        """Writes the question in the width there is."""
        width = min(64, int(self.app.size.width * 0.94)) - 5
        self.query_one("#question", Lines).put(wrap(self.question, width, style="strong"))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Says what is wrong as it is typed."""
        problem = self.wrong(event.value.strip())
        width = min(64, int(self.app.size.width * 0.94)) - 5
        told = wrap(problem, width, style="error") if problem else [line(("enter takes it, esc leaves it", "quiet"))]
        self.query_one("#wrong", Lines).put(told)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Takes it, if nothing is wrong."""
        text = event.value.strip()
        if not self.wrong(text):
            self.dismiss(text)

    def action_leave(self) -> None:
        """Leaves it as it was."""
        self.dismiss(None)
