"""The real engine's side of the app: the client, and the nursery that makes starts quick."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from engine.client import Client, Run
from engine.errors import RunnerError
from engine.events import Message
from engine.recipe import Recipe
from engine.warming import Nursery


class EngineSide:
    """See `tui.feed.Engine`.

    Args:
        runs: the folder of runs.
    """

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.words = "engine warming"
        self._nursery = Nursery()
        self._client = Client(nursery=self._nursery)

    async def warm(self) -> None:
        """Starts the nursery and waits until it has imported TensorFlow. Without one runs start cold."""
        try:
            await self._nursery.ready()
        except (RunnerError, OSError):
            self._client.nursery = None
            self.words = "engine cold"
            return
        self.words = f"engine ready   {_tensorflow()}"

    async def start(self, recipe: Recipe) -> RunFeed:
        """Starts a run."""
        return RunFeed(await self._client.start_run(recipe, self.runs))

    async def resume(self, folder: Path) -> RunFeed:
        """Starts a worker that goes on from a run's last checkpoint."""
        return RunFeed(await self._client.resume_run(folder))

    async def attach(self, folder: Path) -> RunFeed:
        """Follows a run, or replays it."""
        return RunFeed(self._client.open_run(folder))

    async def close(self) -> None:
        """Ends the nursery; its workers go on."""
        await self._nursery.close()


class RunFeed:
    """See `tui.feed.Feed`."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.folder: Path | None = run.folder

    def messages(self) -> AsyncIterator[Message]:
        """All that the run says."""
        return self.run.messages()

    async def cancel(self) -> None:
        """Stops it; by force where it does not listen."""
        await self.run.stop()

    async def pause(self) -> None:
        """Lets it wait."""
        await self.run.pause()

    async def resume(self) -> None:
        """Lets it go on."""
        await self.run.resume()

    async def close(self) -> None:
        """The link hangs up with the iterator."""


def _tensorflow() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"TF {'.'.join(version('tensorflow').split('.')[:2])}"
    except PackageNotFoundError:
        return "no TensorFlow"
