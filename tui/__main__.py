"""The `prune-tui` command, and `python -m tui`. Alone, or asked only for its version, it does without click: 25 ms."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Runs the command line."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from engine import __version__

        sys.stdout.write(f"prune-tui {__version__}\n")
        return
    if not sys.argv[1:] and "_PRUNE_TUI_COMPLETE" not in os.environ:
        from tui.commands.app import open_app
        from tui.ending import in_words

        with in_words():
            sys.exit(open_app(runs=None))
    from tui.cli import main as command

    command(prog_name="prune-tui")


if __name__ == "__main__":
    main()
