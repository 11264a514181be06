"""The app itself."""

from __future__ import annotations

import gc
import os
from pathlib import Path

from engine.errors import PruneError


def open_app(*, runs: Path | None) -> int:
    """Opens the app; gives its exit code.

    Raises:
        PruneError: there is no terminal: keys are read from standard input and the screen is drawn on standard error,
            and without either the app would wait for ever, unseen.
    """
    if not (_is_terminal(0) and _is_terminal(2)):
        raise PruneError(
            "the app needs a terminal, and this is none",
            todo="`prune-tui run PRESET` works without one; `prune-tui presets` lists the presets",
        )
    if os.environ.get("TERM") in ("dumb", "unknown"):
        raise PruneError(
            f"the app cannot be drawn on a terminal of the kind TERM={os.environ['TERM']}",
            todo="`prune-tui run PRESET` works on any; `TERM=xterm prune-tui` if yours can do more than it says",
        )
    gc.disable()  # what is made until the first paint stays; the app turns it on again then
    from engine.folders import runs_folder
    from tui.app import run_app

    return run_app(runs_folder(runs))


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:  # it is closed
        return False
