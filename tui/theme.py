"""The themes. One colour means "pruned", one "accuracy"; everything else is quiet."""

from __future__ import annotations

from textual.theme import Theme


def _theme(name: str, *, dark: bool, pruned: str, accuracy: str, quiet: str, rest: str, **colours: str) -> Theme:
    return Theme(
        name=name,
        primary=accuracy,
        accent=pruned,
        dark=dark,
        success=colours["good"],
        warning=colours["warning"],
        error=colours["error"],
        foreground=colours["foreground"],
        background=colours["background"],
        surface=colours["surface"],
        panel=colours["surface"],
        variables={
            "pruned": pruned,
            "accuracy": accuracy,
            "quiet": quiet,
            "rest": rest,
            "on-badge": colours["background"],
            "row": colours["row"],
            "scrollbar": rest,
            "scrollbar-hover": quiet,
            "scrollbar-active": quiet,
            "scrollbar-background": colours["background"],
            "scrollbar-background-hover": colours["background"],
            "scrollbar-background-active": colours["background"],
        },
    )


THEMES: tuple[Theme, ...] = (
    _theme(
        "orchard", dark=True, pruned="#f0883e", accuracy="#56b6c2", quiet="#8b929c", rest="#3b414a",
        good="#7fc98f", warning="#e5c07b", error="#f2777a",
        foreground="#d7dae0", background="#14171c", surface="#1c2027", row="#262c35",
    ),
    _theme(
        "paper", dark=False, pruned="#b54708", accuracy="#0b6b7a", quiet="#656a72", rest="#c9ccd1",
        good="#1a7f37", warning="#8a6100", error="#b42318",
        foreground="#1f2328", background="#fbfaf7", surface="#f1efe9", row="#e4e1d8",
    ),
    _theme(  # blue against orange, apart for every common kind of colour blindness (Okabe and Ito 2008)
        "okabe-ito", dark=True, pruned="#e69f00", accuracy="#56b4e9", quiet="#9a9a9a", rest="#444444",
        good="#009e73", warning="#f0e442", error="#d55e00",
        foreground="#e8e8e8", background="#101010", surface="#1a1a1a", row="#2a2a2a",
    ),
    _theme(
        "high-contrast", dark=True, pruned="#ffd000", accuracy="#00e5ff", quiet="#d0d0d0", rest="#707070",
        good="#00ff66", warning="#ffff00", error="#ff6b6b",
        foreground="#ffffff", background="#000000", surface="#000000", row="#003a8c",
    ),
)  # fmt: skip
NAMES: tuple[str, ...] = tuple(theme.name for theme in THEMES)
PLAIN = _theme(  # for NO_COLOR: made grey by brightness, an accent would be dimmer than what it should stand out from
    "plain", dark=True, pruned="#ffffff", accuracy="#ffffff", quiet="#a0a0a0", rest="#505050",
    good="#ffffff", warning="#ffffff", error="#ffffff",
    foreground="#d0d0d0", background="#101010", surface="#1a1a1a", row="#333333",
)  # fmt: skip
DEFAULT = NAMES[0]


def variables() -> dict[str, str]:
    """The variables of ours that a theme of Textual's own lacks: the CSS needs them whatever the theme."""
    own = ("pruned", "accuracy", "quiet", "rest", "on-badge", "row")
    return {name: THEMES[0].variables[name] for name in own}
