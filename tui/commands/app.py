"""The app itself."""

from __future__ import annotations

from pathlib import Path


def open_app(*, runs: Path | None) -> int:
    """Opens the app; gives its exit code."""
    from engine.folders import runs_folder
    from tui.app import run_app

    return run_app(runs_folder(runs))
