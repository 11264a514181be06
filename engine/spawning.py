"""Starts detached processes and learns how they ended.

`os.posix_spawn`, not `asyncio.create_subprocess_exec`: the transport of the latter kills its process when it is
collected, and a run must outlive the app that started it. (`multiprocessing` does not work inside a running Textual
app at all.)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Process(Protocol):
    """A worker as its starter sees it."""

    pid: int

    async def wait(self) -> int | None:
        """How it ended: its exit code, or minus the signal; None where nobody can say."""


class Child:
    """A process started here."""

    def __init__(self, pid: int) -> None:
        """Args: pid: of a child of this process."""
        self.pid = pid
        self._ended = asyncio.ensure_future(self._reap())

    async def wait(self) -> int | None:
        """How it ended: its exit code, or minus the signal."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """Ends it at once, where it has not ended."""
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def _reap(self) -> int | None:
        with contextlib.suppress(OSError, AttributeError):
            await _readable(os.pidfd_open(self.pid))
        while True:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                return None
            if pid:
                return os.waitstatus_to_exitcode(status)
            await asyncio.sleep(0.1)


def spawn(module: str, arguments: Sequence[str], *, handle: int, log: Path | None = None) -> Child:
    """Starts `python -P -m module` with one descriptor to hand down, nothing to read, and only `log` to write to.

    Args:
        module: a module of this package.
        arguments: for it; `{handle}` in one is replaced by the number the descriptor has there.
        handle: the descriptor.
        log: takes what it writes before it can see to that itself; None drops it.

    Raises:
        OSError: it could not be started.
    """
    there = max(handle + 1, 10)
    argv = [sys.executable, "-P", "-m", module, *(a.replace("{handle}", str(there)) for a in arguments)]
    write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        *((os.POSIX_SPAWN_OPEN, n, os.fspath(log or os.devnull), write, 0o644) for n in (1, 2)),
        (os.POSIX_SPAWN_DUP2, handle, there),
    ]
    ours = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGTSTP, signal.SIGQUIT)
    return Child(os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions, setsigdef=ours, setsigmask=()))


def _once(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _readable(handle: int) -> None:
    """Waits until a descriptor can be read, then closes it."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(handle, _once, ready)
    try:
        await ready
    finally:
        loop.remove_reader(handle)
        os.close(handle)
