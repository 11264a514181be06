"""`run`, `resume`, `attach`, `stop` and `relay`: the same runner as the app's, followed without a screen."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import click

from engine import folders
from engine.client import Client, Run
from engine.errors import PruneError
from engine.events import Finished, Message, encode
from engine.recipe import load_recipe
from engine.recipe_reading import parse_override
from engine.session import Session
from tui.ending import CANCELLED, DONE, FAILED, unread

_CODES = {"done": DONE, "failed": FAILED, "stopped": CANCELLED}


def run(*, preset: str, overrides: tuple[str, ...], runs: Path | None, as_json: bool, detach: bool) -> int:
    """Starts a run and follows it; `detach` only starts it."""
    recipe = load_recipe(preset, overrides=dict(parse_override(text) for text in overrides))
    return asyncio.run(started(lambda client: client.start_run(recipe, runs), as_json=as_json, detach=detach))[0]


def resume(*, name: str, runs: Path | None, as_json: bool, detach: bool) -> int:
    """Goes on with a run from its last checkpoint."""
    folder = folders.find(name, runs=runs)
    if _ended(folder) == "done":
        raise PruneError(f"{folder.name} is done", todo=f"`prune-tui show {folder.name}` shows it")
    told = Session.load(folder).seq if (folder / "session.yaml").is_file() else 0
    going = started(lambda client: client.resume_run(folder), as_json=as_json, detach=detach, told=told)
    return asyncio.run(going)[0]


def attach(*, name: str, runs: Path | None, as_json: bool) -> int:
    """Follows a run that goes on, or replays one; leaving does not stop it."""
    folder = folders.find(name, runs=runs)
    try:
        return asyncio.run(_follow(Run(folder), as_json=as_json))
    except KeyboardInterrupt:
        return DONE


def stop(*, name: str, runs: Path | None) -> int:
    """Cancels a run, harder by and by."""
    folder = folders.find(name, runs=runs)
    if state := _ended(folder):
        click.echo(f"{folder.name} has ended already: {state}", err=True)
    else:
        asyncio.run(Run(folder).stop())
    print(folder / "session.yaml")  # noqa: T201 - a command's output
    return DONE


def _ended(folder: Path) -> str:
    """How a run has ended, or "" where it goes on or its end is not known."""
    if folders.read_link(folder) is not None:
        return ""
    try:
        state = Session.load(folder).state
    except PruneError:
        return ""
    return state if state in _CODES else ""


def relay(*, name: str, runs: Path | None) -> int:
    """Copies bytes between here and a run's socket."""
    from engine.relay import relay as copy

    copy(folders.find(name, runs=runs))
    return DONE


async def started(
    start: Callable[[Client], Awaitable[Run]], *, as_json: bool, detach: bool = False, told: int = 0
) -> tuple[int, Path]:
    """Starts a run and follows it to its end (unless detached); gives the exit code and the run's folder.

    What was told of it before, up to event number `told`, is not printed again.
    """
    async with Client() as client:
        going = await start(client)
        if detach:
            print(going.folder)  # noqa: T201 - a command's output
            return DONE, going.folder
        loop = asyncio.get_running_loop()
        stopping: list[asyncio.Task[None]] = []

        def stop_it() -> None:
            stopping.append(loop.create_task(going.stop()))

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop_it)
        try:
            code = await _follow(going, as_json=as_json, told=told)
        except (BrokenPipeError, SystemExit) as end:
            if unread(end):
                advice = f"`prune-tui attach {going.folder.name}` follows it, `prune-tui stop` ends it."
                click.echo(f"Nobody reads this any more; the run goes on. {advice}", err=True)
            raise
        for task in stopping:
            with contextlib.suppress(PruneError):
                await task
        return code, going.folder


async def _follow(going: Run, *, as_json: bool, told: int = 0) -> int:
    if as_json:
        last = await _as_json(going.messages())
    else:
        from tui.commands.following import follow

        last = await follow(going.messages(), told=told)
    path = going.folder / "session.yaml"
    print(path, flush=True)  # noqa: T201 - the last line names the session's file, for scripts
    return _CODES[last.state] if last is not None else FAILED


async def _as_json(messages: AsyncIterator[Message]) -> Finished | None:
    last = None
    async for message in messages:
        sys.stdout.buffer.write(encode(message))
        sys.stdout.buffer.flush()
        if isinstance(message, Finished):
            last = message
    return last
