"""The nursery: one process that imports TensorFlow and Keras, runs no op, and forks a worker for every run.

`python -P -m engine.nursery`, with a socket to its parent. It may have one Python thread and may not touch TensorFlow
after the import: after a single op in the parent, forked children hang. Where fork is not safe (macOS) it is a spare:
it becomes the worker of the first run that comes. It ends when its parent does, for then its socket does.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

# Everything that a usual run imports sooner or later. What runs an op when imported has no place here: a test looks.
PRELOAD = (
    "tensorflow",
    "keras",
    "sklearn.datasets",
    "engine.runner",
    "engine.recipe_reading",
    "engine.running.executing",
    "engine.running.context",
    "engine.running.plan",
    "engine.measurement.measuring",
)
_CHILD_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent asks: a worker with these arguments (its locked journal comes along), or the facts."""

    number: int
    arguments: tuple[str, ...] = ()
    facts: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the parent hears: `ready` once; `pid` of the worker of an order; later its `status`; or the facts."""

    number: int = 0
    ready: bool = False
    pid: int = 0
    status: int | None = None
    facts: dict[str, Any] = {}


def main(argv: Sequence[str] | None = None) -> None:
    """Imports, then serves until the parent is gone."""
    import argparse

    parser = argparse.ArgumentParser(prog="engine.nursery", description="Forks workers that have TensorFlow already.")
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--spare", action="store_true", help="become the worker of the first run, do not fork")
    parser.add_argument("--preload", nargs="*", default=list(PRELOAD), metavar="MODULE")
    given = parser.parse_args(argv)
    with contextlib.suppress(PermissionError):
        os.setsid()  # no signal meant for the terminal's programs
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    began, parent = time.monotonic(), os.getppid()
    for name in given.preload:
        if os.getppid() != parent:
            return  # nobody waits for the rest
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is imported stays shared: no collection writes into its pages
    Nursery(socket.socket(fileno=given.socket), spare=given.spare).serve(time.monotonic() - began)


class Nursery:
    """Import, fork and wait: nothing else."""

    def __init__(self, link: socket.socket, *, spare: bool = False) -> None:
        """Args: link: the socket to the parent. spare: do not fork."""
        self.link, self.spare = link, spare
        self._workers: dict[int, int] = {}
        self._handles: deque[int] = deque()
        self._buffer = b""
        self._bell, self._alarm = os.pipe()
        for handle in (self._bell, self._alarm):
            os.set_blocking(handle, False)

    def serve(self, seconds: float) -> None:
        """Obeys until the parent is gone."""
        signal.set_wakeup_fd(self._alarm, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._say(Answer(ready=True, facts={"seconds": seconds, "spare": self.spare}))
        while True:
            readable, _, _ = select.select([self.link.fileno(), self._bell], [], [])
            if self._bell in readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._bell, 4096)
            self._reap()
            if self.link.fileno() in readable and not self._hear():
                return

    def _hear(self) -> bool:
        try:
            data, handles, _, _ = socket.recv_fds(self.link, 1 << 16, 16)
        except ConnectionError:
            return False
        self._handles.extend(handles)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._obey(msgspec.json.decode(line, type=Order))
        return bool(data)

    def _obey(self, order: Order) -> None:
        if order.facts:
            return self._say(Answer(number=order.number, facts=facts()))
        handle = self._handles.popleft()
        if self.spare:
            self._say(Answer(number=order.number, pid=os.getpid()))
            self._become(order, handle)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # native threads: idle pools, and they mind a fork
            pid = os.fork()
        if pid == 0:
            self._become(order, handle)
        os.close(handle)
        self._workers[pid] = order.number
        return self._say(Answer(number=order.number, pid=pid))

    def _become(self, order: Order, handle: int) -> None:
        """Turns this process into a worker; does not return."""
        signal.set_wakeup_fd(-1)
        for number in _CHILD_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self.link.close()
        for other in (self._bell, self._alarm, *self._handles):
            os.close(other)
        with contextlib.suppress(PermissionError):
            os.setsid()
        from engine import runner

        runner.run_and_exit([*order.arguments, "--lock", str(handle)])

    def _reap(self) -> None:
        while self._workers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            number = self._workers.pop(pid, 0)
            self._say(Answer(number=number, pid=pid, status=os.waitstatus_to_exitcode(status)))

    def _say(self, answer: Answer) -> None:
        with contextlib.suppress(OSError):  # a parent that is gone is noticed by the next read
            self.link.sendall(msgspec.json.encode(answer) + b"\n")


def facts() -> dict[str, Any]:
    """What must hold for forks to be safe: one Python thread, and a TensorFlow that has run no op."""
    context = sys.modules.get("tensorflow.python.eager.context")
    return {
        "threads": threading.active_count(),
        "tensorflow": "tensorflow" in sys.modules,
        "ops": context is not None and context.context_safe() is not None,
    }


if __name__ == "__main__":
    main()
    os._exit(0)  # TensorFlow takes its time to leave, and has nothing to save
