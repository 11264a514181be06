"""One run as the app knows it: its session, folded in memory as messages come. It never touches a widget."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from engine.errors import PruneError
from engine.events import EpochEnded, Finished, Progress
from engine.session import Session
from tui.feed import Feed


class LiveRun:
    """Follows a feed until it ends.

    Attributes:
        session: what is known so far; a new value after every message.
        feed: where it comes from; None for a session read from its file.
        paused: what was asked last; `session.progress` says what is.
        stopping: a stop was asked for.
        announced: whether its end was told. starting: it is being started.
        within: the progress is of an epoch that has not ended yet.
        lost: why nothing more will come although the run has not said that it ended.
    """

    def __init__(self, session: Session | None = None, *, feed: Feed | None = None, folder: Path | None = None) -> None:
        self.session = session or Session()
        self.feed, self._folder = feed, folder
        self.paused = self.stopping = False
        self.lost = ""
        self.announced = self.starting = False
        self.within = False
        self._task: asyncio.Task[None] | None = None

    @property
    def folder(self) -> Path | None:
        """Where the run writes."""
        return (self.feed.folder if self.feed is not None else None) or self._folder

    @property
    def going(self) -> bool:
        """Whether more is to come."""
        return self.feed is not None and not self.session.finished and not self.lost

    def follow(self) -> None:
        """Begins to listen, in a task of the running loop."""
        if self.feed is not None and self._task is None:
            self._task = asyncio.create_task(self._follow(self.feed), name="follow run")

    async def _follow(self, feed: Feed) -> None:
        try:
            async for message in feed.messages():
                self.session = self.session.apply(message)
                if isinstance(message, Progress):
                    self.paused, self.within = message.paused, True
                elif isinstance(message, EpochEnded):
                    self.within = False
        except PruneError as error:
            self.lost = str(error)
        except OSError as error:
            self.lost = f"the connection to the run was lost: {error.strerror or error}"
        if not self.session.finished and not self.lost:
            self.lost = "the runner ended without a word"

    async def toggle_pause(self) -> None:
        """Pauses, or lets the run go on."""
        if self.feed is None or not self.going:
            return
        self.paused = not self.paused
        await (self.feed.pause() if self.paused else self.feed.resume())

    async def stop(self) -> None:
        """Asks the run to stop."""
        if self.feed is not None and self.going:
            self.stopping = True
            await self.feed.cancel()

    async def close(self) -> None:
        """Stops listening; the run itself goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self.feed is not None:
            await self.feed.close()

    def fail(self, error: PruneError) -> None:
        """The run could not be started: shown as a failed run is."""
        self.session = self.session.apply(
            Finished(time=time.time(), state="failed", words=error.what, where=error.where, todo=error.todo)
        )

    def log_tail(self, lines: int = 12) -> list[str]:
        """The end of what the runner's native code wrote: read only when a run has failed."""
        if self.folder is None:
            return []
        from engine.folders import log_tail

        return log_tail(self.folder, lines=lines).splitlines()
