"""Every key of the app, declared once: the footer, the help, the palette and the config file all read this table."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from textual.binding import Binding


class Key(msgspec.Struct, frozen=True):
    """One thing that can be done.

    Attributes:
        id: how the config file names it, `scope.what`.
        keys: the keys, with commas; the first one is shown.
        action: the Textual action.
        word: for the footer.
        help: what it does, for help and palette.
        shown: whether the footer has it; others are in the help.
        spare: whether the footer has it where there is room to spare.
        face: how the key is written, where its name is not what people say.
    """

    id: str
    keys: str
    action: str
    word: str
    help: str
    shown: bool = True
    spare: bool = False
    face: str = ""

    @property
    def scope(self) -> str:
        """Where it holds: `app`, or a screen's name."""
        return self.id.partition(".")[0]


KEYS: tuple[Key, ...] = (
    Key("presets.run", "enter", "run", "run", "Run the recipe that is shown."),
    Key(
        "presets.other",
        "tab",
        "other",
        "page",
        "The page beside the list, or in its place on a small screen; and back.",
    ),
    Key("presets.configure", "e", "configure", "configure", "Change the recipe in a form, then run or save it."),
    Key("presets.card", "i", "card", "card", "What each part of the recipe does: formula, source, when to use it."),
    Key("presets.filter", "slash", "filter", "filter", "Type to narrow the list; Escape shows all again.", face="/"),
    Key(
        "presets.yaml",
        "y",
        "yaml",
        "yaml",
        "Show the recipe as YAML, or the page of words again.",
        shown=False,
        spare=True,
    ),
    Key(
        "presets.queue",
        "a",
        "queue",
        "queue",
        "Add this preset to the queue: it starts when the run before it ends.",
        shown=False,
        spare=True,
    ),
    Key("presets.sessions", "s", "sessions", "sessions", "All that was run here."),
    Key("presets.going", "r", "going", "current run", "Go to the run that is going (or the last one).", shown=False),
    Key("run.pause", "space", "pause", "pause", "Pause the run, or let it go on."),
    Key("run.stop", "x", "stop", "stop", "Stop the run (asks first); what there is so far is saved."),
    Key("run.freeze", "f", "freeze", "freeze", "Freeze the picture while data flows, or thaw it."),
    Key(
        "run.resume", "u", "resume", "resume", "Go on with a run that failed or was stopped, from its last checkpoint."
    ),
    Key(
        "run.next",
        "tab",
        "next_panel",
        "panel",
        "Next panel; on a small screen the next one takes the place of this one.",
    ),
    Key("run.again", "r", "again", "run again", "Run the same recipe once more (when this one has ended)."),
    Key("run.layer", "enter", "layer", "layer", "Look into the layer under the cursor."),
    Key(
        "run.before", "shift+tab", "next_panel(-1)", "previous panel", "Previous panel.", shown=False, face="shift+tab"
    ),
    Key("run.zoom", "z", "zoom", "zoom", "One panel on the whole screen, and back.", shown=False, spare=True),
    Key(
        "run.overlay",
        "o",
        "overlay",
        "overlay",
        "Lay an earlier session of this recipe over the curves.",
        shown=False,
        spare=True,
    ),
    Key(
        "run.smooth",
        "m",
        "smooth",
        "smooth",
        "Smooth the curves: not, some, much. Printed numbers stay raw.",
        shown=False,
    ),
    Key("run.log", "l", "logarithm", "log scale", "Loss on a logarithmic scale, and back.", shown=False),
    Key(
        "run.cursor_left",
        "left",
        "cursor(-1)",
        "epoch before",
        "Read the curves at the epoch before.",
        shown=False,
        face="←",
    ),
    Key(
        "run.cursor_right",
        "right",
        "cursor(1)",
        "epoch after",
        "Read the curves at the epoch after.",
        shown=False,
        face="→",
    ),
    Key(
        "run.plots",
        "p",
        "plots",
        "plots",
        "Plots of this run: against sparsity, by epoch, histograms.",
        shown=False,
        spare=True,
    ),
    Key("run.back", "escape", "back", "back", "Back to the presets; a run goes on.", face="esc"),
    Key("sessions.open", "enter", "open", "open", "Open the session; one that is still going is followed live."),
    Key("sessions.filter", "slash", "filter", "filter", "Type to narrow the list; Escape shows all again.", face="/"),
    Key("sessions.sort", "o", "sort", "sort", "Sort by time, name, state or size."),
    Key("sessions.again", "r", "again", "run again", "Run this session's recipe once more."),
    Key("sessions.rename", "n", "rename", "rename", "Give the session another name.", shown=False, spare=True),
    Key("sessions.delete", "d", "delete", "delete", "Delete the session's folder (asks first)."),
    Key(
        "sessions.export",
        "x",
        "export",
        "export",
        "Write the session as YAML, CSV or a Python script.",
        shown=False,
        spare=True,
    ),
    Key(
        "sessions.plots",
        "p",
        "plots",
        "plots",
        "Accuracy, size and speed of the sessions shown, against sparsity.",
    ),
    Key("sessions.back", "escape", "back", "back", "Back to the presets.", face="esc"),
    Key("configure.change", "enter", "edit", "edit", "Edit the value, or choose from a list."),
    Key("configure.run", "ctrl+r", "run", "run", "Run the recipe as it stands.", face="^r"),
    Key("configure.save", "ctrl+s", "save", "save", "Save it as a preset of your own.", face="^s"),
    Key("configure.less", "left,h", "step(-1)", "before", "The choice or number before.", shown=False, face="←"),
    Key("configure.more", "right,l", "step(1)", "change", "The choice or number after.", face="←→"),
    Key(
        "configure.card",
        "i",
        "card",
        "card",
        "What each part does: formula, source, when to use it.",
        shown=False,
        spare=True,
    ),
    Key(
        "configure.editor",
        "ctrl+e",
        "editor",
        "$EDITOR",
        "Open the recipe in your editor.",
        shown=False,
        spare=True,
        face="^e",
    ),
    Key("configure.back", "escape", "back", "back", "Back without saving.", face="esc"),
    Key("plots.next", "right,l,space", "move(1)", "next plot", "The next plot.", face="→"),
    Key("plots.before", "left,h", "move(-1)", "plot before", "The plot before.", face="←"),
    Key("plots.save", "x", "save", "save", "Save all of them as SVG (as PNG too where there is a converter)."),
    Key("plots.back", "escape,p", "back", "back", "Back to where one came from.", face="esc"),
    Key("layer.next", "right,l", "move(1)", "next layer", "The next layer.", face="→"),
    Key("layer.previous", "left,h", "move(-1)", "layer before", "The layer before.", shown=False, face="←"),
    Key("layer.back", "escape,enter", "dismiss", "back", "Back to the run.", face="esc"),
    Key("list.down", "down,j", "down", "down", "Next line.", shown=False, face="↓"),
    Key("list.up", "up,k", "up", "up", "Line before.", shown=False, face="↑"),
    Key("list.first", "home,g", "first", "first", "First line.", shown=False),
    Key("list.last", "end,G", "last", "last", "Last line.", shown=False),
    Key("list.page_down", "pagedown,ctrl+d", "page(1)", "page down", "A page down.", shown=False),
    Key("list.page_up", "pageup,ctrl+u", "page(-1)", "page up", "A page up.", shown=False),
    Key("app.theme", "t", "next_theme", "theme", "The next theme.", shown=False),
    Key("app.help", "question_mark,f1", "help", "help", "What can be done here.", face="?"),
    Key(
        "app.jump", "ctrl+o", "jump", "jump", "A letter at every panel; pressing it goes there.", shown=False, face="^o"
    ),
    Key("app.palette", "ctrl+p", "command_palette", "palette", "Find anything by typing.", shown=False, face="^p"),
    Key(
        "app.suspend",
        "ctrl+z",
        "suspend_process",
        "to the shell",
        "Leave the app waiting and go to the shell; `fg` comes back. Runs go on.",
        shown=False,
        face="^z",
    ),
    Key("app.quit", "q,ctrl+q", "quit", "quit", "Quit; a run that is going can be stopped or left running."),
)

SCOPES: dict[str, str] = {
    "presets": "Presets",
    "run": "Run",
    "sessions": "Sessions",
    "configure": "Configure",
    "plots": "Plots",
    "layer": "Layer",
    "list": "In every list",
    "app": "Everywhere",
}


def of(scope: str) -> tuple[Key, ...]:
    """The keys of a scope, in the order of the footer."""
    return tuple(k for k in KEYS if k.scope == scope)


def bindings(scope: str) -> list[Binding]:
    """The keys of a scope as Textual bindings; their ids let the config file change the keys."""
    return [Binding(k.keys, k.action, k.word, show=False, id=k.id) for k in of(scope)]


def face(key: Key, keymap: Mapping[str, str]) -> str:
    """How the key is written, as the user has it."""
    if key.id in keymap:
        first = keymap[key.id].split(",")[0]
    elif key.face:
        return key.face
    else:
        first = key.keys.split(",")[0]
    names = {"slash": "/", "question_mark": "?", "escape": "esc", "full_stop": ".", "comma": ",", "space": "space"}
    return names.get(first, first.replace("ctrl+", "^"))


def clashes(keymap: Mapping[str, str]) -> list[str]:
    """What is wrong with a user's keys, in words: names that do not exist, and keys taken twice in one place."""
    ids = {k.id for k in KEYS}
    wrong = [f"keys: there is no key named {name!r}" for name in keymap if name not in ids]
    for scope in SCOPES:
        taken: dict[str, str] = {}
        for key in (*of(scope), *of("app")):
            for press in keymap.get(key.id, key.keys).split(","):
                if taken.setdefault(press.strip(), key.id) != key.id:
                    message = f"keys: {press.strip()} is both {taken[press.strip()]} and {key.id}"
                    if message not in wrong:
                        wrong.append(message)
    return wrong
