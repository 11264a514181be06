"""Lines of text painted without a layout pass: only what changed is drawn again.

Every live table is one of these. (A DataTable draws all its visible rows for one changed cell: 30 ms a frame.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.paint.lines import EMPTY, STYLES, Line, plain


class Lines(ScrollView, can_focus=False):
    """Shows lines; scrolls up and down where there are more than fit."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"lines--{name}" for name in (*STYLES, "cursor")}
    DEFAULT_CSS = """
    Lines {
        height: auto; overflow-x: hidden; scrollbar-size-vertical: 1; background: $background;
        & > .lines--quiet { color: $quiet; }
        & > .lines--strong { text-style: bold; }
        & > .lines--pruned { color: $pruned; }
        & > .lines--accuracy { color: $accuracy; }
        & > .lines--good { color: $success; }
        & > .lines--warning { color: $warning; }
        & > .lines--error { color: $error; text-style: bold; }
        & > .lines--badge { color: $on-badge; background: $accuracy; text-style: bold; }
        & > .lines--bad-badge { color: $on-badge; background: $error; text-style: bold; }
        & > .lines--rest { color: $rest; }
        & > .lines--key { color: $pruned; text-style: bold; }
        & > .lines--heading { color: $quiet; text-style: bold; }
        & > .lines--cursor { background: $row; }
    }
    """

    def __init__(self, lines: Sequence[Line] = (), *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.content: tuple[Line, ...] = ()
        self.pinned: tuple[Line, ...] = ()
        self._styles_by_name: dict[tuple[str, bool], Style] = {}
        self.put(lines)

    def pin(self, *head: Line) -> None:
        """Lines that stay at the top while the others scroll."""
        if head != self.pinned:
            self.pinned = head
            self.virtual_size = Size(self.virtual_size.width, len(head) + len(self.content))
            self.refresh()

    def put(self, lines: Sequence[Line]) -> None:
        """Shows these lines; draws again those that differ."""
        lines, before = tuple(lines), self.content
        if lines == before:
            return
        self.content = lines
        if len(lines) != len(before) or not self.is_mounted:
            self.virtual_size = Size(self.virtual_size.width, len(self.pinned) + len(lines))
            self.refresh(layout=self.is_mounted and self.styles.height is not None and self.styles.height.is_auto)
            return
        top = int(self.scroll_offset.y)
        for y, (new, old) in enumerate(zip(lines, before, strict=True)):
            if new != old and top <= y < top + self.size.height:
                self.refresh(Region(0, y - top + len(self.pinned), self.size.width, 1))

    @property
    def text(self) -> str:
        """All lines without their styles."""
        return "\n".join(plain(one) for one in self.content)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as there are lines."""
        return len(self.pinned) + len(self.content)

    def notify_style_update(self) -> None:
        """Forgets what the styles were: the theme changed."""
        self._styles_by_name.clear()
        super().notify_style_update()

    def style_of(self, name: str, *, cursor: bool = False) -> Style:
        """The style that a name stands for in the present theme."""
        found = self._styles_by_name.get((name, cursor))
        if found is None:
            found = self.rich_style
            if name in STYLES:
                found += self.get_component_rich_style(f"lines--{name}", partial=True)
            if cursor:
                found += self.get_component_rich_style("lines--cursor", partial=True)
            self._styles_by_name[name, cursor] = found
        return found

    def is_cursor(self, y: int) -> bool:
        """Whether this line is the chosen one."""
        return False

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        head = y < len(self.pinned)
        at = y + int(self.scroll_offset.y) - len(self.pinned)
        cursor = not head and self.is_cursor(at)
        base = self.style_of("", cursor=cursor)
        width = self.scrollable_content_region.width
        of = self.pinned[y] if head else self.content[at] if at < len(self.content) else EMPTY
        strip = Strip([Segment(text, self.style_of(name, cursor=cursor)) for text, name in of if text])
        if cursor:  # seen without colour, too
            strip = Strip([Segment("▌", self.style_of("pruned", cursor=True)), *strip.crop(1)])
        return strip.adjust_cell_length(width, base)
