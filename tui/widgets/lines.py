"""Lines of text painted without a layout pass: only what changed is drawn again.

Every live table is one of these. (A DataTable draws all its visible rows for one changed cell: 30 ms a frame.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.paint.lines import EMPTY, Line, plain

MOST_STRIPS = 1_000
_PLAIN = Style()
_PALETTES: dict[str, dict[str, Style]] = {}
# style name: (variable of the theme for the text, for what is behind it, bold)
_MEANINGS: dict[str, tuple[str, str, bool]] = {
    "quiet": ("quiet", "", False),
    "strong": ("", "", True),
    "pruned": ("pruned", "", False),
    "accuracy": ("accuracy", "", False),
    "good": ("success", "", False),
    "warning": ("warning", "", False),
    "error": ("error", "", True),
    "badge": ("on-badge", "accuracy", True),
    "bad-badge": ("on-badge", "error", True),
    "rest": ("rest", "", False),
    "key": ("pruned", "", True),
    "heading": ("quiet", "", True),
    "cursor": ("", "row", False),
}


def palette(theme: str, variables: Mapping[str, str]) -> dict[str, Style]:
    """The styles of a theme by name. (As component classes of the CSS they cost 20 ms at every start.)"""
    if theme not in _PALETTES:
        colours = {"": None, **{k: _colour(variables[k]) for k in _USED if k in variables}}
        _PALETTES[theme] = {
            name: Style(color=colours.get(front), bgcolor=colours.get(back), bold=bold or None)
            for name, (front, back, bold) in _MEANINGS.items()
        }
    return _PALETTES[theme]


_USED = {variable for front, back, _ in _MEANINGS.values() for variable in (front, back) if variable}


def _colour(text: str) -> RichColor | None:
    try:
        return Color.parse(text).rich_color
    except ColorParseError:  # "auto 87%" and its like: leave the text as it is
        return None


class Lines(ScrollView, can_focus=False):
    """Shows lines; scrolls up and down where there are more than fit."""

    DEFAULT_CSS = """
    Lines { height: auto; overflow-x: hidden; scrollbar-size-vertical: 1; background: $background; }
    """

    def __init__(self, lines: Sequence[Line] = (), *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.content: tuple[Line, ...] = ()
        self.pinned: tuple[Line, ...] = ()
        self._styles_by_name: dict[tuple[str, bool], Style] = {}
        self._strips: dict[tuple[Line, int, bool], Strip] = {}
        self.put(lines)

    def pin(self, *head: Line) -> None:
        """Lines that stay at the top while the others scroll."""
        if head != self.pinned:
            self.pinned = head
            self._reaches(len(head) + len(self.content))
            self.refresh()

    def put(self, lines: Sequence[Line]) -> None:
        """Shows these lines; draws again those that differ."""
        lines, before = tuple(lines), self.content
        if lines == before:
            return
        self.content = lines
        if len(lines) != len(before) or not self.is_mounted:
            self._reaches(len(self.pinned) + len(lines))
            self.refresh(layout=self.is_mounted and self._grows)
            return
        top, (width, height) = int(self.scroll_offset.y), self.size
        changed = [
            Region(0, y - top + len(self.pinned), width, 1)
            for y in range(top, min(top + height, len(lines)))
            if lines[y] != before[y]
        ]
        if changed:
            self.refresh(*changed)

    @property
    def _grows(self) -> bool:
        """Whether the widget is as high as what it shows."""
        return self.styles.height is not None and self.styles.height.is_auto

    def _reaches(self, rows: int) -> None:
        """How far it can be scrolled.

        Setting the reactive asks for a layout of the whole screen, 20 ms for every new row of a log. Where the height
        is given, no more changes than the scroll bar, which asks for a layout by itself when it comes or goes.
        """
        size = Size(self.virtual_size.width, rows)
        self.set_reactive(ScrollView.virtual_size, size)
        if self.is_mounted:
            self._scroll_update(size)

    @property
    def text(self) -> str:
        """All lines without their styles."""
        return "\n".join(plain(one) for one in self.content)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as there are lines."""
        return len(self.pinned) + len(self.content)

    def notify_style_update(self) -> None:
        """Forgets what the styles were: the theme changed, or the keyboard came or went."""
        self._styles_by_name.clear()
        self._strips.clear()
        super().notify_style_update()

    def style_of(self, name: str, *, cursor: bool = False) -> Style:
        """The style that a name stands for in the present theme."""
        found = self._styles_by_name.get((name, cursor))
        if found is None:
            found = self.rich_style + palette(self.app.theme, self.app.theme_variables).get(name, _PLAIN)
            if cursor:
                found += palette(self.app.theme, self.app.theme_variables)["cursor"]
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
        width = self.scrollable_content_region.width
        of = self.pinned[y] if head else self.content[at] if at < len(self.content) else EMPTY
        known = self._strips.get((of, width, cursor))
        if known is None:  # most lines of a frame were on the screen before, many in another row
            if len(self._strips) > MOST_STRIPS:
                self._strips.clear()
            known = self._strips[of, width, cursor] = self._strip(of, width, cursor=cursor)
        return known

    def _strip(self, of: Line, width: int, *, cursor: bool) -> Strip:
        strip = Strip([Segment(text, self.style_of(name, cursor=cursor)) for text, name in of if text])
        if cursor:  # seen without colour, too
            strip = Strip([Segment("▌", self.style_of("pruned", cursor=True)), *strip.crop(1)])
        return strip.adjust_cell_length(width, self.style_of("", cursor=cursor))
