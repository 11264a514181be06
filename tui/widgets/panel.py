"""A titled part of a screen: a thin line with its name above, and lines that scroll by key and wheel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from tui import keys
from tui.paint.lines import Line
from tui.widgets.lines import Lines
from tui.widgets.menu import Menu

TITLED = """
    border-top: solid $rest; border-title-color: $quiet; border-title-style: bold; border-title-align: left;
    border-subtitle-color: $quiet;
    &:focus { border-top: solid $quiet; border-title-color: $foreground; }
"""


class Panel(Lines, can_focus=True):
    """Lines under a title.

    Args:
        title: what is written into the line above.
        follow: stays at the end as lines are added, unless the reader has scrolled away.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("list")]
    DEFAULT_CSS = f"Panel {{ height: 1fr; {TITLED} }}"

    def __init__(self, title: str, *, id: str | None = None, follow: bool = False) -> None:  # noqa: A002
        self.follow = follow
        self._was = (True, 0.0)  # at the end, and scrolled how far
        super().__init__(id=id, classes="panel")
        self.border_title = f" {title} " if title else ""

    def put(self, lines: Sequence[Line]) -> None:
        """Shows these lines."""
        grows = len(lines) != len(self.content)
        at, (was_at_end, was_at) = self.scroll_y, self._was
        # A smaller panel, or an end that is not reached yet, is no reader who has scrolled away.
        at_end = at >= self.max_scroll_y - 1 or (was_at_end and at >= was_at)
        self._was = (at_end, at)
        super().put(lines)
        if self.follow and at_end and self.is_mounted and (grows or at < self.max_scroll_y):
            self.scroll_end(animate=False)

    def action_down(self) -> None:
        """One line down."""
        self.scroll_down(animate=False)

    def action_up(self) -> None:
        """One line up."""
        self.scroll_up(animate=False)

    def action_first(self) -> None:
        """To the top."""
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        """To the end."""
        self.scroll_end(animate=False)

    def action_page(self, pages: int) -> None:
        """A page down or up."""
        (self.scroll_page_down if pages > 0 else self.scroll_page_up)(animate=False)


class MenuPanel(Menu):
    """A list to choose from, under a title."""

    DEFAULT_CSS = f"MenuPanel {{ height: 1fr; {TITLED} }}"

    def __init__(self, title: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes="panel")
        self.border_title = f" {title} " if title else ""
