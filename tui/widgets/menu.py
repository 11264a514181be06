"""A list to choose from: headings and rows, arrow and vim keys, mouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message

from tui import keys
from tui.paint.lines import Line
from tui.widgets.lines import Lines

Row = tuple[str, Line]  # a key ("" for a heading, which cannot be chosen) and what is shown


class Menu(Lines, can_focus=True):
    """A list with one chosen row. The choice stays on its key while rows come and go."""

    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("list")]
    DEFAULT_CSS = "Menu { height: 1fr; }"

    class Moved(Message):
        """Another row is chosen."""

        def __init__(self, menu: Menu, key: str) -> None:
            super().__init__()
            self.menu, self.key = menu, key

        @property
        def control(self) -> Menu:
            """The list."""
            return self.menu

    class Pressed(Moved):
        """A chosen row was clicked again."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.keys: tuple[str, ...] = ()
        self.at = -1
        self._wished = ""

    @property
    def chosen(self) -> str:
        """The key of the chosen row, or ""."""
        return self.keys[self.at] if 0 <= self.at < len(self.keys) else ""

    def fill(self, rows: Sequence[Row]) -> None:
        """Shows these rows; keeps the choice where its key is still there, else takes the nearest."""
        before, at = self.chosen, self.at
        self.keys = tuple(key for key, _ in rows)
        wanted, self._wished = before or self._wished, ""
        if wanted and wanted in self.keys:
            self.at = self.keys.index(wanted)
        else:
            self.at = self._nearest(max(at, 0))
        self.put([of for _, of in rows])
        if self.chosen != before:
            self.post_message(self.Moved(self, self.chosen))
            self.call_after_refresh(self.show_cursor)
        if self.at != at:
            self.refresh()

    def wish(self, key: str) -> None:
        """Names the row to begin with, before there are any."""
        self._wished = key

    def choose(self, key: str) -> None:
        """Moves to the row of this key, if there is one."""
        if key in self.keys:
            self._to(self.keys.index(key))

    def is_cursor(self, y: int) -> bool:
        """Whether this line is the chosen one."""
        return y == self.at

    def show_cursor(self) -> None:
        """Scrolls so that the chosen row, and the heading just above it, can be seen."""
        if self.at < 0:
            return
        top = self.at - 1 if self.at > 0 and not self.keys[self.at - 1] else self.at
        self.scroll_to_region(Region(0, top, 1, self.at - top + 1), animate=False, force=True)

    def action_down(self) -> None:
        """Next row."""
        self._to(self._nearest(self.at + 1, step=1))

    def action_up(self) -> None:
        """Row before."""
        self._to(self._nearest(self.at - 1, step=-1))

    def action_first(self) -> None:
        """First row."""
        self._to(self._nearest(0))

    def action_last(self) -> None:
        """Last row."""
        self._to(self._nearest(len(self.keys) - 1, step=-1))

    def action_page(self, pages: int) -> None:
        """Down or up by as many rows as can be seen."""
        goal = self.at + pages * max(1, self.size.height - 1)
        goal = min(max(goal, 0), len(self.keys) - 1)
        self._to(self._nearest(goal, step=1 if pages > 0 else -1))

    def on_click(self, event: events.Click) -> None:
        """Chooses the row under the mouse; the row that is chosen already, presses."""
        at = event.get_content_offset_capture(self).y + int(self.scroll_offset.y) - len(self.pinned)
        if not (0 <= at < len(self.keys) and self.keys[at]):
            return
        if at == self.at:
            self.post_message(self.Pressed(self, self.chosen))
        else:
            self._to(at)

    def _nearest(self, at: int, *, step: int = 1) -> int:
        """The first row from `at` on that can be chosen, in this direction, then in the other; -1 without one."""
        for indices in (
            range(at, len(self.keys) if step > 0 else -1, step),
            range(at - step, -1 if step > 0 else len(self.keys), -step),
        ):
            for index in indices:
                if 0 <= index < len(self.keys) and self.keys[index]:
                    return index
        return -1

    def _to(self, at: int) -> None:
        if at == self.at or not 0 <= at < len(self.keys):
            return
        for y in (self.at, at):
            self.refresh(Region(0, y - int(self.scroll_offset.y) + len(self.pinned), self.size.width, 1))
        self.at = at
        self.show_cursor()
        self.post_message(self.Moved(self, self.chosen))
