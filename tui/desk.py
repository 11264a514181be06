"""The runs that the app has open, the queue behind them, and the engine's side that they come from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from engine.errors import PruneError
from engine.recipe import Recipe, to_plain
from engine.session import Session
from tui.feed import Engine, EngineFactory, Feed
from tui.live import LiveRun


class Desk:
    """Starts, opens and keeps runs; knows no widget.

    Attributes:
        open: every run that was started or opened here, oldest first.
        queue: recipes that wait until nothing goes.
        engine: the engine's side; None until the first paint is over.
    """

    def __init__(self, runs: Path, factory: EngineFactory | None) -> None:
        self.runs, self._factory = runs, factory
        self.open: list[LiveRun] = []
        self.queue: list[Recipe] = []
        self.engine: Engine | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def going(self) -> list[LiveRun]:
        """The runs of which more is to come."""
        return [run for run in self.open if run.going or run.starting]

    async def warm(self) -> None:
        """Makes the engine's side and lets it make the first start quick.

        Raises:
            PruneError: it cannot.
        """
        factory = self._factory
        if factory is None:
            from tui.engine_side import EngineSide

            factory = EngineSide
        self.engine = factory(self.runs)
        await self.engine.warm()

    def start(self, recipe: Recipe) -> LiveRun:
        """Starts a run; what it says comes later."""
        plain = to_plain(recipe)
        live = LiveRun(Session(run=recipe.name, recipe=plain))
        self._begin(live, lambda side: side.start(recipe))
        return live

    def resume(self, live: LiveRun) -> LiveRun | None:
        """Goes on with a run that failed or was stopped; None where it has no checkpoint."""
        folder = live.folder
        if folder is None or live.going or live.session.state == "done" or not (folder / "checkpoint").is_dir():
            return None
        again = LiveRun(Session(run=folder.name, recipe=live.session.recipe), folder=folder)
        self.open = [run for run in self.open if run is not live]
        self._begin(again, lambda side: side.resume(folder))
        return again

    def attach(self, folder: Path) -> LiveRun:
        """Opens a run that is there; the one that is open already, where it is."""
        found = next((live for live in self.open if live.folder == folder), None)
        if found is not None:
            return found
        live = LiveRun(Session(run=folder.name), folder=folder)
        self._begin(live, lambda side: side.attach(folder))
        return live

    def ended(self) -> list[LiveRun]:
        """The runs that have ended since the last call; starts what is first in the queue when nothing goes."""
        found = [run for run in self.open if run.feed is not None and not run.going and not run.announced]
        for run in found:
            run.announced = True
        if self.queue and not self.going:
            self.start(self.queue.pop(0))
        return found

    def earlier(self, live: LiveRun) -> Session | None:
        """The last session of the same recipe that has epochs, other than this run."""
        from engine.folders import listed

        for run in listed(self.runs):
            if run.summary.name == live.session.name and Path(run.folder) != live.folder and run.summary.epochs:
                try:
                    return Session.load(run.folder)
                except PruneError:
                    continue
        return None

    async def stop(self, runs: list[LiveRun], *, patience: float = 5.0) -> None:
        """Stops runs and waits a little until they have saved what they have."""
        await asyncio.gather(*(run.stop() for run in runs), return_exceptions=True)
        until = time.monotonic() + patience
        while any(run.going for run in runs) and time.monotonic() < until:
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Hangs up everywhere; the runs go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(run.close() for run in self.open), *self._tasks, return_exceptions=True)
        if self.engine is not None:
            await self.engine.close()

    def _begin(self, live: LiveRun, how: Callable[[Engine], Awaitable[Feed]]) -> None:
        self.open.append(live)
        live.starting = True
        task = asyncio.create_task(self._connect(live, how), name="start run")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, live: LiveRun, how: Callable[[Engine], Awaitable[Feed]]) -> None:
        try:
            while self.engine is None:  # Enter within the first tenth of a second
                await asyncio.sleep(0.02)
            live.feed = await how(self.engine)
            live.follow()
        except PruneError as error:
            live.fail(error)
        except OSError as error:  # a full disk
            live.fail(PruneError(f"the run cannot be started: {error.strerror or error}", where=error.filename or ""))
        finally:
            live.starting = False


def refusal(recipe: Recipe) -> str:
    """Why a recipe cannot be started: a file that it names is not there, or is something else; "" where it can."""
    from engine.named_files import check

    try:
        check(recipe)
    except PruneError as error:
        return f"It cannot run: {error}"
    return ""
