"""The last line of the screen: what can be pressed here, from the one table of keys; each can be clicked."""

from __future__ import annotations

from collections.abc import Callable

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui import keys
from tui.paint.lines import length
from tui.widgets.lines import Lines

WAY_BACK = ("back", "dismiss")


class KeyBar(Lines):
    """Footer of one scope. Keys that do not fit are left out from the end; the way back, help and quit always stay."""

    DEFAULT_CSS = "KeyBar { dock: bottom; height: 1; padding: 0 1; }"

    def __init__(self, scope: str, *, allowed: Callable[[keys.Key], bool] = lambda _: True) -> None:
        super().__init__()
        self.scope, self.allowed = scope, allowed
        self.faces: list[tuple[keys.Key, str]] = []

    def update_keys(self) -> None:
        """Draws again: the size, the keymap or what is possible changed."""
        keymap = getattr(self.app, "user_keys", {})
        own = [k for k in keys.of(self.scope) if (k.shown or k.spare) and self.allowed(k)]
        always = [k for k in keys.of("app") if k.shown]
        faces = [(k, keys.face(k, keymap)) for k in (*own, *always)]
        rest = [k for k in own if k.action not in WAY_BACK]
        leaving = [*(k for k in rest if not k.spare), *(k for k in rest if k.spare)]  # the last one leaves first
        while leaving and self._width(faces) > self.size.width:
            gone = leaving.pop()
            faces = [(k, face) for k, face in faces if k is not gone]
        if faces != self.faces:
            self.faces = faces
            self.put([tuple(s for k, f in faces for s in ((f, "key"), (f" {k.word}  ", "quiet")))])

    def on_resize(self) -> None:
        """Fits the keys to the new width."""
        self.update_keys()

    def render_line(self, y: int) -> Strip:
        """The keys, each with its action under the mouse."""
        segments: list[Segment] = []
        for key, face in self.faces:
            action = key.action if "(" in key.action else f"{key.action}()"
            click = Style(meta={"@click": f"{'app' if key.scope == 'app' else 'screen'}.{action}"})
            segments.append(Segment(face, self.style_of("key") + click))
            segments.append(Segment(f" {key.word}", self.style_of("quiet") + click))
            segments.append(Segment("  ", self.style_of("")))
        return Strip(segments).adjust_cell_length(self.scrollable_content_region.width, self.style_of(""))

    @staticmethod
    def _width(faces: list[tuple[keys.Key, str]]) -> int:
        return sum(length(((f, ""),)) + len(k.word) + 3 for k, f in faces) - 2
