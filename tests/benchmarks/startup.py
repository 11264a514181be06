"""How long until the app can be used: under tmux at 120x40, from the command to the first Down that moves the choice.

Beside it, interleaved: Textual's hello world until its text is on the screen, and `prune-tui --version`.
The median of seven counts. Needs tmux.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("hello, world")
Hello().run()
"""
COMMAND = str(Path(sys.executable).with_name("prune-tui"))
PATIENCE = 20.0


class Terminal:
    """One program in a tmux window of its own server."""

    def __init__(self, command: str, folder: str) -> None:
        self.socket = f"{folder}/tmux"
        self.began = time.perf_counter()
        self._tmux("-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", "120", "-y", "40", command)

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", self.socket, *words], capture_output=True, text=True, check=False)
        return done.stdout

    def until(self, seen: Callable[[str], bool]) -> float:
        """Seconds since the start until the screen shows it."""
        while time.perf_counter() - self.began < PATIENCE:
            if seen(self._tmux("capture-pane", "-p", "-t", "t")):
                return time.perf_counter() - self.began
            time.sleep(0.004)
        raise SystemExit("the screen never showed what was expected:\n" + self._tmux("capture-pane", "-p", "-t", "t"))

    def press(self, key: str) -> None:
        """Sends a key."""
        self._tmux("send-keys", "-t", "t", key)

    def close(self) -> None:
        """Ends the window and its server."""
        self._tmux("kill-server")


def chosen(screen: str) -> str:
    """The line with the cursor, or ""."""
    return next((row.split("│")[0].strip() for row in screen.splitlines() if row.lstrip().startswith("▌")), "")


def app(folder: str) -> tuple[float, float]:
    """Seconds until the list is there, and until the first Down has moved the selection."""
    terminal = Terminal(COMMAND, folder)
    try:
        listed = terminal.until(lambda screen: bool(chosen(screen)))
        first = chosen(terminal._tmux("capture-pane", "-p", "-t", "t"))
        terminal.press("Down")
        moved = terminal.until(lambda screen: chosen(screen) not in ("", first))
    finally:
        terminal.close()
    return listed, moved


def hello(folder: str) -> float:
    """Seconds until Textual's hello world is on the screen."""
    script = Path(folder) / "hello.py"
    script.write_text(HELLO, encoding="utf-8")
    terminal = Terminal(f"{sys.executable} {script}", folder)
    try:
        return terminal.until(lambda screen: "hello, world" in screen)
    finally:
        terminal.close()


def version() -> float:
    """Seconds that `prune-tui --version` takes."""
    began = time.perf_counter()
    subprocess.run([COMMAND, "--version"], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Runs all three in turn and prints medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    if shutil.which("tmux") is None:
        print("startup: needs tmux")
        return
    os.chdir(ROOT)
    caches = tempfile.TemporaryDirectory(
        prefix="pt", ignore_cleanup_errors=True
    )  # as a user has it: everything compiled once
    os.environ |= {"PYTHONPYCACHEPREFIX": caches.name, "PYTHONDONTWRITEBYTECODE": ""}
    hellos, lists, moves, versions = [], [], [], []
    for at in range(rounds + 1):
        with tempfile.TemporaryDirectory(prefix="pt", ignore_cleanup_errors=True) as folder:
            first = hello(folder)
        with tempfile.TemporaryDirectory(prefix="pt", ignore_cleanup_errors=True) as folder:
            os.environ |= {"XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder, "PRUNE_TUI_RUNS": f"{folder}/runs"}
            listed, moved = app(folder)
        took = version()
        if at:  # the first round compiles, and warms the disk's cache
            hellos.append(first)
            lists.append(listed)
            moves.append(moved)
            versions.append(took)
    base, down = statistics.median(hellos), statistics.median(moves)
    print(f"hello world   {base:.3f} s")
    print(f"preset list   {statistics.median(lists):.3f} s")
    print(f"first Down    {down:.3f} s   {down / base:.2f} x hello world (at most 1.50, and 0.35 s)")
    print(f"--version     {statistics.median(versions):.3f} s   (at most 0.060 s)")


if __name__ == "__main__":
    main()
