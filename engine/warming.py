"""The app's side of the nursery: keeps one going, asks it for workers, hears how they end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from engine.errors import RunnerError
from engine.nursery import Answer, Order
from engine.spawning import Child, spawn


class Forked:
    """A worker that the nursery made."""

    def __init__(self, pid: int, ended: asyncio.Future[int | None]) -> None:
        """Args: pid: the worker's. ended: resolved when the nursery tells."""
        self.pid, self._ended = pid, ended

    async def wait(self) -> int | None:
        """How it ended; None when the nursery went first, and nobody can say."""
        return await asyncio.shield(self._ended)


class Nursery:
    """A warm start for runs: `async with Nursery() as nursery`, or `start` and `close`.

    Start it after the first paint: it takes a processor for some seconds.
    """

    def __init__(self, *, spare: bool | None = None, preload: Sequence[str] | None = None) -> None:
        """Starts nothing yet.

        Args:
            spare: one process a run, no fork; by default only where fork is not safe (macOS).
            preload: modules to import instead of TensorFlow, Keras and the engine (for tests).
        """
        self.spare = sys.platform == "darwin" if spare is None else spare
        self._preload = None if preload is None else tuple(preload)
        self._link: socket.socket | None = None
        self._process: Child | None = None
        self._buffer = b""
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._ends: dict[int, asyncio.Future[int | None]] = {}
        self._ready: asyncio.Future[dict[str, Any]] | None = None

    async def __aenter__(self) -> Nursery:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        return self._process.pid if self._process and self._link else None

    @property
    def warm(self) -> bool:
        """True once the imports are done."""
        return self._ready is not None and self._ready.done() and not self._ready.cancelled()

    def start(self) -> None:
        """Starts the process, unless there is one; returns at once.

        Raises:
            OSError: it cannot be started.
        """
        if self._link is not None:
            return
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        ours, theirs = socket.socketpair()
        arguments = ["--socket", "{handle}", *(["--spare"] if self.spare else [])]
        if self._preload is not None:
            arguments += ["--preload", *self._preload]
        try:
            self._process = spawn("engine.nursery", arguments, handle=theirs.fileno())
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.settimeout(0)
        self._link, self._buffer = ours, b""
        loop.add_reader(ours, self._hear)

    async def ready(self) -> dict[str, Any]:
        """Waits for the imports; gives what the nursery says of them (`seconds`).

        Raises:
            RunnerError: it ended before.
        """
        self.start()
        assert self._ready is not None
        try:
            return await asyncio.shield(self._ready)
        except asyncio.CancelledError:
            if self._ready.cancelled():
                raise RunnerError("the warm start is not to be had: its process ended") from None
            raise

    async def facts(self) -> dict[str, Any]:
        """Its Python threads, and whether it ran an op: what makes forks safe."""
        return (await self._ask(Order(number=next(self._numbers), facts=True))).facts

    async def work(self, arguments: Sequence[str], *, handle: int) -> Forked:
        """A worker (`engine.runner`) with these arguments, as soon as the imports are done.

        Args:
            arguments: the runner's, without `--lock`.
            handle: the locked journal.

        Raises:
            RunnerError: the nursery ended before it could make one.
        """
        self.start()
        order = Order(number=next(self._numbers), arguments=tuple(arguments))
        ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._ends[order.number] = ended
        process = self._process
        answer = await self._ask(order, handle=handle)
        if self.spare and process is not None:
            del self._ends[order.number]
            self._leave()
            self.start()  # the next run finds a warm one again
            return Forked(answer.pid, asyncio.ensure_future(process.wait()))
        return Forked(answer.pid, ended)

    async def close(self) -> None:
        """Ends the nursery; its workers go on."""
        process = self._process
        self._leave()
        if process is not None:
            process.kill()
            await process.wait()

    async def _ask(self, order: Order, *, handle: int | None = None) -> Answer:
        if self._link is None:
            raise RunnerError("the warm start is not to be had: its process ended")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[order.number] = answer
        try:
            socket.send_fds(self._link, [msgspec.json.encode(order) + b"\n"], [] if handle is None else [handle])
            return await answer
        except (OSError, asyncio.CancelledError) as error:
            self._ends.pop(order.number, None)
            if isinstance(error, OSError) or answer.cancelled():
                raise RunnerError("the warm start is not to be had: its process ended") from None
            raise
        finally:
            self._asked.pop(order.number, None)

    def _hear(self) -> None:
        assert self._link is not None
        try:
            data = self._link.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._leave()
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._told(msgspec.json.decode(line, type=Answer))

    def _told(self, answer: Answer) -> None:
        if answer.ready:
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(answer.facts)
        elif answer.status is not None:
            ended = self._ends.pop(answer.number, None)
            if ended is not None and not ended.done():
                ended.set_result(answer.status)
        elif (asked := self._asked.get(answer.number)) is not None and not asked.done():
            asked.set_result(answer)

    def _leave(self) -> None:
        """Forgets a nursery that is gone; whoever waits for it is told."""
        if self._link is None:
            return
        with contextlib.suppress(RuntimeError):  # no loop any more
            asyncio.get_running_loop().remove_reader(self._link)
        self._link.close()
        self._link = self._process = None
        if self._ready is not None and not self._ready.done():
            self._ready.cancel()
        for asked in self._asked.values():
            asked.cancel()
        for ended in self._ends.values():
            if not ended.done():
                ended.set_result(None)
        self._ends.clear()
