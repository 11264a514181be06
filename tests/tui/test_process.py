"""The app as a process: what it imports, and how it leaves the terminal when it is told to end."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import sys
from pathlib import Path
from tui.app import run_app
class Quiet:
    words = "engine ready"
    async def warm(self): ...
    async def close(self): ...
sys.exit(run_app(Path(sys.argv[1]), feed_factory=lambda _: Quiet()))
"""


def test_before_the_first_paint_nothing_heavy_is_imported():
    code = (
        "import sys, tui.app, tui.screens.presets\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'scipy', 'sklearn', 'engine.client', 'tui.screens.run'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(number, tmp_path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)},
    )  # fmt: skip
    os.close(theirs)
    seen, until, told = b"", time.monotonic() + 30, False
    while time.monotonic() < until:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                seen += os.read(ours, 65536)
            except OSError:
                break
        if not told and b"presets" in seen:
            time.sleep(0.3)
            process.send_signal(number)
            told = True
        if told and process.poll() is not None and b"\x1b[?1049l" in seen:
            break
    os.close(ours)
    assert process.wait(10) == 128 + number
    assert b"\x1b[?1049h" in seen
    assert seen.rindex(b"\x1b[?1049l") > seen.rindex(b"\x1b[?1049h")  # out of the alternate screen
    assert b"\x1b[?1000l" in seen  # and the mouse is off


def test_a_terminal_that_is_gone_does_not_keep_the_app(tmp_path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)},
    )  # fmt: skip
    os.close(theirs)
    seen, until = b"", time.monotonic() + 30
    while b"presets" not in seen and time.monotonic() < until:
        if select.select([ours], [], [], 0.1)[0]:
            seen += os.read(ours, 65536)
    time.sleep(0.3)
    os.close(ours)  # the window is closed
    process.send_signal(signal.SIGHUP)
    assert process.wait(15) == 128 + signal.SIGHUP
