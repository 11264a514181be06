"""The `prune-tui` command, and `python -m tui`. Asked only for its version it answers before click is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from engine import __version__

        sys.stdout.write(f"prune-tui {__version__}\n")
        return
    from tui.cli import main as command

    command(prog_name="prune-tui")


if __name__ == "__main__":
    main()
