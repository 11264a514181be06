"""Desktop notifications: by an escape of the terminal, by the desktop's own command, else by the bell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from textual.app import App

from engine.session import Session
from tui.live import LiveRun
from tui.paint import numbers as n
from tui.paint.lines import clean
from tui.working import begin

How = Literal["auto", "bell", "off"]
RECENT = 60.0  # seconds: what ended longer ago was opened, not waited for
_OSC9 = frozenset({"iTerm.app", "WezTerm", "ghostty"})
_OSC777 = ("foot", "rxvt-unicode", "contour")


def words(live: LiveRun) -> str:
    """How a run ended, in one line."""
    session = live.session
    if live.lost:
        return f"{session.name} is lost: {live.lost}"
    if session.state == "failed":
        return f"{session.name} failed: {session.words}"
    metric = _metric(session)
    said = f", {session.metric.name.replace('_', ' ')} {n.metric(metric)}" if metric is not None else ""
    return f"{session.name} is {session.state}: {n.percent(session.sparsity)} gone{said}"


def worth_it(live: LiveRun, *, now: float | None = None) -> bool:
    """Whether the end was waited for: not that of an old session that was opened, nor of a run that one stopped."""
    if live.stopping or live.folder is None:
        return False
    return bool(live.lost) or (now if now is not None else time.time()) - live.session.updated < RECENT


def escape(title: str, body: str, env: Mapping[str, str]) -> str:
    """The escape that makes this terminal notify; "" where none is known to (tmux and screen swallow them)."""
    if env.get("TMUX") or env.get("STY"):
        return ""
    title, body = clean(title).replace(";", ","), clean(body)[:240]
    if env.get("TERM", "").startswith(_OSC777):
        return f"\x1b]777;notify;{title};{body}\x1b\\"
    if env.get("TERM_PROGRAM") in _OSC9 or env.get("KITTY_WINDOW_ID"):
        return f"\x1b]9;{title}: {body}\x1b\\"
    return ""


def command(title: str, body: str, env: Mapping[str, str]) -> list[str]:
    """The desktop's own command; empty where there is none, or where the screen is far away."""
    if env.get("SSH_CONNECTION"):
        return []
    title, body = clean(title), clean(body)[:240]
    if sys.platform == "darwin":
        script = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"
        return ["osascript", "-e", script, title, body] if shutil.which("osascript") else []
    there = (env.get("DISPLAY") or env.get("WAYLAND_DISPLAY")) and shutil.which("notify-send")
    return ["notify-send", "--app-name=prune-tui", "--", title, body] if there else []


def tell(app: App[Any], live: LiveRun, how: How) -> None:
    """A run has ended, while one looked elsewhere perhaps: tells it outside the screen, beside the painting."""
    if how == "off" or not worth_it(live):
        return

    def write(text: str) -> None:
        # Through the driver that writes the frames: nothing can come in between.
        if app._driver is not None and not app.is_headless:
            app._driver.write(text)

    begin(app, partial(notify, words(live), how, write=write, bell=app.bell), group="notify")


async def notify(
    body: str, how: How, *, write: Callable[[str], None], bell: Callable[[], None], env: Mapping[str, str] | None = None
) -> None:
    """Tells the user, in the first way that works here.

    Args:
        body: one line.
        how: `auto`, or only the `bell`, or `off`.
        write: writes to the terminal between two frames, in the order of the app's own output.
        bell: rings.
        env: the environment; None is the process'.
    """
    env = os.environ if env is None else env
    if how == "off":
        return
    if how == "auto":
        if sequence := escape("prune-tui", body, env):
            write(sequence)
            return
        if await _ran(command("prune-tui", body, env)):
            return
    bell()


async def _ran(argv: list[str]) -> bool:
    if not argv:
        return False
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return False
    try:
        return await asyncio.wait_for(process.wait(), 5.0) == 0
    except TimeoutError:  # no daemon answers
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return False


def _metric(session: Session) -> float | None:
    found = session.pruned.get("metric")
    value = n.known(found.get("value")) if isinstance(found, Mapping) else None
    return value if value is not None or not session.epochs else n.known(session.epochs[-1].validation)
