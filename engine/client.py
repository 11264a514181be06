"""Starting, following, telling and stopping runs, for asyncio. The app, the command line and sweeps all use this.

    async with Client() as client:
        run = await client.start_run(load_recipe("gradual-global"))
        async for message in run.messages():
            session = session.apply(message)

Leaving the client leaves the runs as they are: they are processes of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from engine import folders, journal, links, named_files
from engine.errors import RunnerError
from engine.events import AnyCommand, AnyEvent, Attach, Cancel, Finished, Pause, PhaseBegan, Progress, Resume, Started
from engine.files import write_atomically
from engine.links import Link
from engine.recipe import Recipe, to_yaml
from engine.spawning import Process, spawn
from engine.warming import Nursery

Follows: TypeAlias = AsyncIterator[AnyEvent | Progress]


class Client:
    """Starts and opens runs.

    Attributes:
        nursery: where new workers come from; None starts each as a fresh process. May be set later.
    """

    def __init__(self, *, nursery: Nursery | None = None, execute: str | None = None) -> None:
        """Starts nothing.

        Args:
            nursery: a warm start, shared by all runs; whoever made it closes it.
            execute: `module:function` to run instead of the engine (for tests and benchmarks).
        """
        self.nursery, self._execute = nursery, execute

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def start_run(self, recipe: Recipe, runs: str | Path | None = None) -> Run:
        """Makes a folder for a run and starts its worker.

        Args:
            recipe: what to run; files that it names are looked for from the present folder.
            runs: the folder of runs; `folders.runs_folder` says which without it.

        Raises:
            DataError, ModelError: a file that the recipe names is not there, or is something else; nothing was begun.
            RunnerError: the folder or the process cannot be made.
        """
        named_files.check(recipe)
        folder = folders.create(folders.runs_folder(runs), recipe.name)
        handle = journal.hold(folder)
        try:
            write_atomically(folder / folders.RECIPE, to_yaml(named_files.anchored(recipe)).encode())
            return Run(folder, process=await self._worker(folder, handle=handle))
        finally:
            os.close(handle)

    async def resume_run(self, folder: Path) -> Run:
        """Starts a worker that goes on from a run's last checkpoint.

        Raises:
            RunnerError: the run is still going, has no recipe, or the process cannot be made.
        """
        if not (folder / folders.RECIPE).is_file():
            raise RunnerError("this run cannot be resumed: its recipe is not there", where=str(folder))
        handle = journal.hold(folder)
        try:
            return Run(folder, process=await self._worker(folder, "--resume", handle=handle))
        finally:
            os.close(handle)

    def open_run(self, folder: Path) -> Run:
        """A run that someone else started, going or ended."""
        return Run(folder)

    def far_run(self, command: Sequence[str]) -> FarRun:
        """A run on another machine, through a command such as `links.ssh(host, run)`."""
        return FarRun(command)

    def attach(self, folder: Path, *, after: int = 0) -> Follows:
        """Follows a run: `open_run(folder).messages(after=after)`."""
        return self.open_run(folder).messages(after=after)

    async def _worker(self, folder: Path, *more: str, handle: int) -> Process:
        arguments = [str(folder), *more, *(["--execute", self._execute] if self._execute else [])]
        if self.nursery is not None:
            with contextlib.suppress(RunnerError, OSError):  # a worker can be had without
                return await self.nursery.work(arguments, handle=handle)
        try:
            return spawn("engine.runner", [*arguments, "--lock", "{handle}"], handle=handle, log=folder / folders.LOG)
        except OSError as error:
            raise RunnerError(f"the worker cannot be started: {error.strerror}", where=str(folder)) from None


class Run:
    """A run on this machine.

    Attributes:
        folder: its own.
        process: its worker, where it was started here.
    """

    def __init__(self, folder: Path, *, process: Process | None = None) -> None:
        """Args: folder: the run's. process: its worker, if started here."""
        self.folder, self.process = folder, process
        self._stopped = ""

    @property
    def name(self) -> str:
        """The folder's name, by which any command finds it."""
        return self.folder.name

    @property
    def alive(self) -> bool:
        """True while a worker is at it."""
        return journal.held(self.folder)

    async def messages(self, *, after: int = 0) -> Follows:
        """All events after number `after`, each once and in order, and progress; ends when the run has ended.

        It makes no difference whether the run goes on or ended long ago, and a link that drops is made again. A worker
        that died without a word is given its `Finished` (`folders.settle`).

        Raises:
            RunnerError: the worker speaks another protocol.
        """
        reader, pause, ended, settled = journal.Reader(self.folder), 0.02, False, False
        while True:
            link = await links.near(self.folder)
            if link is not None:
                try:
                    await link.send(Attach(after=after))
                    async for batch in link.batches():
                        pause = 0.02
                        for message in batch:
                            if isinstance(message, Progress):
                                yield message
                            elif message.seq > after:
                                after, ended = message.seq, _ended(message, before=ended)
                                yield message
                except OSError:
                    pass
                finally:
                    await link.close()
            alive = self.alive  # asked before the rest is read: what comes after must not be missed
            while (events := reader.more(after=after)) is not None:
                for event in events:
                    after, ended = event.seq, _ended(event, before=ended)
                    yield event
                await asyncio.sleep(0)
            if not alive:
                if ended or settled:
                    return
                settled = True
                last = await self._settled()
                if last is not None and last.seq == 0:  # the folder is not ours to write in
                    yield msgspec.structs.replace(last, seq=after + 1, time=time.time())
                    return
                continue
            await asyncio.sleep(pause)
            pause = min(0.5, pause * 1.5)

    async def send(self, command: AnyCommand, *, patience: float = 10.0) -> None:
        """Tells the worker something; waits for one that is only starting.

        Raises:
            RunnerError: there is no worker, or it does not answer.
        """
        until = time.monotonic() + patience
        while self.alive and time.monotonic() < until:
            link = await links.near(self.folder)
            if link is None:
                await asyncio.sleep(0.05)
                continue
            try:
                await link.send(command)
                return
            except OSError:
                continue
            finally:
                await link.close()
        words = "the worker does not answer" if self.alive else "this run has ended"
        raise RunnerError(words, where=str(self.folder))

    async def cancel(self) -> None:
        """Asks it to stop, saving what there is. Raises `RunnerError` where it has ended."""
        await self.send(Cancel())

    async def pause(self) -> None:
        """Asks it to wait. Raises `RunnerError` where it has ended."""
        await self.send(Pause())

    async def resume(self) -> None:
        """Lets it go on. Raises `RunnerError` where it has ended."""
        await self.send(Resume())

    async def wait(self, *, patience: float | None = None) -> bool:
        """Waits until no worker is at it; False when `patience` seconds were not enough."""
        until = None if patience is None else time.monotonic() + patience
        while self.alive:
            if until is not None and time.monotonic() >= until:
                return False
            await asyncio.sleep(0.05)
        return True

    async def stop(self, *, cancel: float = 15.0, terminate: float = 10.0) -> None:
        """Ends the run, by force where nothing else helps: cancel, SIGTERM, SIGKILL of its process group.

        Args:
            cancel: seconds that it has to heed the command.
            terminate: seconds that it then has to heed the signal.
        """
        with contextlib.suppress(RunnerError):
            await self.send(Cancel(), patience=min(5.0, cancel))
        if await self.wait(patience=cancel):
            return
        self._signal(signal.SIGTERM)
        if await self.wait(patience=terminate):
            return
        self._stopped = f"stopped by force: it did not heed a request for {cancel + terminate:.0f} seconds"
        self._signal(signal.SIGKILL)
        await self.wait(patience=10.0)
        await self._settled()

    def log_tail(self, *, lines: int = 40) -> str:
        """The last lines of the worker's log, safe for a terminal."""
        return folders.log_tail(self.folder, lines=lines)

    async def _settled(self) -> Finished | None:
        status = None
        if self.process is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    status = await self.process.wait()
        return await asyncio.to_thread(folders.settle, self.folder, status=status, stopped=self._stopped)

    def _signal(self, number: signal.Signals) -> None:
        link = folders.read_link(self.folder)
        pid = self.process.pid if self.process is not None else link.pid if link is not None else 0
        if not pid or not self.alive:
            return
        with contextlib.suppress(OSError):
            if number == signal.SIGKILL and os.getpgid(pid) == pid:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)


class FarRun:
    """A run on another machine, reached by a command that relays its socket."""

    def __init__(self, command: Sequence[str], *, patience: float = 600.0) -> None:
        """Args: command: program and arguments. patience: seconds to try again after a link was lost."""
        self.command, self._patience = list(command), patience
        self._link: Link | None = None

    async def messages(self, *, after: int = 0) -> Follows:
        """All events after number `after`, each once and in order, and progress; lost links are made again.

        Raises:
            RunnerError: there is no link at first, or none any more.
        """
        pause, ended, lost = 0.2, False, 0.0
        while not ended:
            try:
                link = self._link = await links.far(self.command)
            except RunnerError:
                if not lost or time.monotonic() - lost > self._patience:
                    raise
                await asyncio.sleep(pause)
                pause = min(15.0, pause * 2)
                continue
            try:
                await link.send(Attach(after=after))
                async for batch in link.batches():
                    pause = 0.2
                    for message in batch:
                        if isinstance(message, Progress):
                            yield message
                        elif message.seq > after:
                            after, ended = message.seq, _ended(message, before=ended)
                            yield message
            except OSError:
                pass
            finally:
                self._link = None
                await link.close()
            lost = time.monotonic()
            if not ended:
                await asyncio.sleep(pause)
                pause = min(15.0, pause * 2)

    async def send(self, command: AnyCommand) -> None:
        """Tells the worker something, through the open link if there is one.

        Raises:
            RunnerError: no link can be made.
        """
        if self._link is not None:
            with contextlib.suppress(OSError):
                await self._link.send(command)
                return
        link = await links.far(self.command)
        try:
            await link.send(command)
        except OSError:
            raise RunnerError("the link to the run was lost", where=self.command[-1]) from None
        finally:
            await link.close()


def _ended(event: AnyEvent, *, before: bool) -> bool:
    """True from a `Finished` on, until the run begins again."""
    return isinstance(event, Finished) or (before and not isinstance(event, Started | PhaseBegan))
