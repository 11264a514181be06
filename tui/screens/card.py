"""The method cards of a recipe, over the screen that asked for them."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from engine.recipe import Recipe
from tui.paint.card import cards
from tui.widgets.panel import Panel


class Cards(ModalScreen[None]):
    """One panel that scrolls: a card for each part of the sentence."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,i,enter", "dismiss", show=False)]
    DEFAULT_CSS = """
    Cards { align: center middle; background: $background 60%; }
    Cards Panel {
        width: 92; max-width: 96%; height: auto; max-height: 92%; background: $surface; padding: 1 2;
        border: none; border-left: thick $pruned;
        &:focus { border-top: none; }
    }
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe

    def compose(self) -> ComposeResult:
        """One panel that scrolls."""
        yield Panel("", id="cards")

    def on_mount(self) -> None:
        """Writes them in the width there is."""
        panel = self.query_one(Panel)
        panel.put(cards(self.recipe, min(92, int(self.app.size.width * 0.96)) - 6))
        panel.focus()
