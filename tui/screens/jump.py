"""Jump: a letter at everything that can hold the keyboard; pressing it goes there."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from tui.paint.lines import Line, length, line
from tui.widgets.lines import Lines

LETTERS = "asdfghjklqwertyuiopzxcvbnm"


@runtime_checkable
class Jumpable(Protocol):
    """A screen that shows less than it has: it brings what was chosen to the front."""

    def jump_to(self, target: Widget) -> None:
        """Shows the target and gives it the keyboard."""
        ...


class Jump(ModalScreen[Widget]):
    """Over a screen, which stays in sight. Gives back what was chosen, or None.

    Args:
        targets: what can be gone to, by letter.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]
    DEFAULT_CSS = """
    Jump { background: $background 40%; }
    Jump > Lines { position: absolute; width: auto; height: 1; }
    """

    def __init__(self, targets: dict[str, Widget]) -> None:
        super().__init__()
        self.targets = targets
        self._laid_out: tuple[int, int] | None = None

    def compose(self) -> ComposeResult:
        """A label each: where the target is, or in a column where it is hidden."""
        seen = [t.region for t in self.targets.values() if t.region.area and t.display]
        corner = seen[0].offset if seen else Offset(0, 0)
        hidden = 0
        for letter, target in self.targets.items():
            shown = bool(target.region.area) and target.display
            words = "" if shown else f"{target.id} "
            of: Line = line((letter, "badge"), (" ", ""), (words, "strong"))
            label = Lines([of], id=f"to-{letter}")
            place = target.region.offset if shown else Offset(corner.x + 4, corner.y + 1 + hidden)
            hidden += not shown
            label.styles.offset = (place.x, place.y)
            label.styles.width = length(of)
            yield label

    def on_key(self, event: events.Key) -> None:
        """A letter goes there; any other key leaves."""
        event.stop()
        event.prevent_default()
        self.dismiss(self.targets.get(event.key))

    def on_click(self, event: events.Click) -> None:
        """A click on a label goes there, a click beside leaves."""
        name = event.widget.id if event.widget is not None else None
        self.dismiss(self.targets.get((name or "").removeprefix("to-")))

    def on_resize(self) -> None:
        """Leaves when the screen below is laid out anew: the labels would be in the wrong places."""
        now = (self.app.size.width, self.app.size.height)
        if self._laid_out is not None and self._laid_out != now:
            self.dismiss(None)
        self._laid_out = now


def targets(screen: Screen[object]) -> dict[str, Widget]:
    """What can be gone to on a screen, by letter; what is empty is left out."""
    found = [
        widget
        for widget in screen.query(Widget)
        if widget.focusable and not widget.has_class("-empty") and (widget.display or isinstance(screen, Jumpable))
    ]
    return dict(zip(LETTERS, found, strict=False))


def begin(screen: Screen[object]) -> None:
    """Shows the letters over a screen; where there is one thing only, goes there at once."""
    found = targets(screen)

    def go(target: Widget | None) -> None:
        if isinstance(target, Widget) and isinstance(screen, Jumpable):
            screen.jump_to(target)
        elif isinstance(target, Widget):
            target.focus()

    if len(found) > 1:
        screen.app.push_screen(Jump(found), go)
    else:
        go(next(iter(found.values()), None))
