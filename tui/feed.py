"""What the screens ask of the engine's side, and nothing more: start or attach to a run, hear it, tell it things.

The real one is `tui.engine_side` (the client and the nursery); tests and benchmarks give the app another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Protocol

from engine.events import Message, decode
from engine.recipe import Recipe


class Feed(Protocol):
    """One run, heard from here. `folder` is where it writes, once that is known."""

    folder: Path | None

    def messages(self) -> AsyncIterator[Message]:
        """All events of the run from its first, then everything live, until it ends or the runner is lost."""
        ...

    async def cancel(self) -> None:
        """Stops the run at its next execution; what there is, is saved."""
        ...

    async def pause(self) -> None:
        """Lets it wait."""
        ...

    async def resume(self) -> None:
        """Lets it go on."""
        ...

    async def close(self) -> None:
        """Hangs up; the run goes on."""
        ...


class Engine(Protocol):
    """Where runs come from. `words` says how it is, for the header: `engine warming`, `engine ready`."""

    words: str

    async def warm(self) -> None:
        """Makes the next start quick. Called after the first paint, never before it."""
        ...

    async def start(self, recipe: Recipe) -> Feed:
        """Starts a run of a resolved recipe."""
        ...

    async def resume(self, folder: Path) -> Feed:
        """Goes on with a run that ended early, from its last checkpoint."""
        ...

    async def attach(self, folder: Path) -> Feed:
        """Follows a run that is going, or replays one that has ended."""
        ...

    async def close(self) -> None:
        """Lets go of everything; runs go on."""
        ...


EngineFactory = Callable[[Path], Engine]
"""Makes the engine's side for a folder of runs."""


class Replay:
    """A feed of messages that are there already: a journal's, or a test's.

    Args:
        source: a journal file, or the messages.
        pace: seconds between two messages; 0 gives all at once, yielding to the loop now and then.
        stays: goes on listening after the last message, as a run does that is still going.
    """

    def __init__(self, source: Path | Iterable[Message], *, pace: float = 0.0, stays: bool = False) -> None:
        self.folder = source.parent if isinstance(source, Path) else None
        self._source, self._pace, self._stays = source, pace, stays
        self.told: list[str] = []
        self._going = asyncio.Event()
        self._going.set()

    async def messages(self) -> AsyncIterator[Message]:
        """All of them, then the end."""
        for count, message in enumerate(self._all()):
            if self._pace:
                await asyncio.sleep(self._pace)
            elif count % 64 == 63:
                await asyncio.sleep(0)
            await self._going.wait()
            yield message
        if self._stays:
            await asyncio.Event().wait()

    def _all(self) -> Iterable[Message]:
        if not isinstance(self._source, Path):
            yield from self._source
            return
        with self._source.open("rb") as file:
            for row in file:
                if row.endswith(b"\n"):  # a line without its end was being written when the runner died
                    yield decode(row)

    async def cancel(self) -> None:
        """Noted in `told`."""
        self.told.append("cancel")

    async def pause(self) -> None:
        """Holds the messages back."""
        self.told.append("pause")
        self._going.clear()

    async def resume(self) -> None:
        """Lets them go on."""
        self.told.append("resume")
        self._going.set()

    async def close(self) -> None:
        """Nothing to hang up."""
