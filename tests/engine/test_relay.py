from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from engine import folders, journal, links
from engine.client import Client, FarRun
from engine.errors import RunnerError
from engine.events import AnyEvent, Cancel, Finished, Progress
from engine.recipe import Recipe, Train
from engine.session import Session

WORK = f"{Path(__file__).parent / 'fake_work.py'}:work"
RELAY = "import sys; from pathlib import Path; from engine.relay import relay; relay(Path(sys.argv[1]))"


def command(folder: Path, *, noise: str = "") -> list[str]:
    """What ssh would be: a shell that greets, then the relay."""
    relay = shlex.join([sys.executable, "-P", "-c", RELAY, str(folder)])
    return ["sh", "-c", f"{noise}exec {relay}"]


async def durable(run: FarRun, *, after: int = 0) -> list[AnyEvent]:
    async with asyncio.timeout(30):
        return [m async for m in run.messages(after=after) if not isinstance(m, Progress)]


async def test_a_far_run_is_followed_and_told_through_noise(tmp_path: Path) -> None:
    async with Client(execute=WORK) as client:
        run = await client.start_run(Recipe(name="hold", train=Train(epochs=2)), tmp_path)
        far = client.far_run(command(run.folder, noise="echo 'Welcome to host'; echo '{\"type\":\"x\"}'; "))
        seen: list[AnyEvent] = []
        async with asyncio.timeout(30):
            async for message in far.messages():
                if isinstance(message, Progress):
                    await far.send(Cancel())
                else:
                    seen.append(message)
        assert seen == list(journal.read(run.folder))
        assert isinstance(seen[-1], Finished)
        assert seen[-1].state == "stopped"
        assert await durable(far, after=2) == seen[2:]  # ended: replayed by the relay


async def test_a_far_run_that_was_killed_is_settled_there(tmp_path: Path) -> None:
    run = await Client(execute=WORK).start_run(Recipe(name="killed", train=Train(epochs=1)), tmp_path)
    assert await run.wait(patience=20)
    last = (await durable(FarRun(command(run.folder))))[-1]
    assert isinstance(last, Finished)
    assert last.state == "failed"
    assert Session.load(run.folder).state == "failed"


async def test_a_lost_connection_is_made_again(tmp_path: Path) -> None:
    run = await Client(execute=WORK).start_run(Recipe(name="hold", train=Train(epochs=2)), tmp_path)
    far = FarRun(command(run.folder))
    killed, seen = 0, []
    async with asyncio.timeout(30):
        async for message in far.messages():
            if not isinstance(message, Progress):
                seen.append(message.seq)
            elif killed < 2:
                assert far._link is not None
                assert far._link._process is not None
                os.kill(far._link._process.pid, signal.SIGKILL)
                killed += 1
            else:
                await run.cancel()
    assert seen == [1, 2, 3, 4, 5]


async def test_without_a_run_there_the_reason_is_told() -> None:
    began = time.monotonic()
    with pytest.raises(RunnerError, match="does not answer: ssh: no such host"):
        await durable(FarRun(["sh", "-c", "echo 'ssh: no such host' >&2; exit 255"]))
    with pytest.raises(RunnerError, match="cannot be started"):
        await durable(FarRun(["/no/such/program"]))
    assert time.monotonic() - began < 10


async def test_another_protocol_is_refused_with_both_versions() -> None:
    hello = '{"type":"hello","protocol":99,"version":"9.9","run":"r","pid":1,"last":0}'
    with pytest.raises(RunnerError, match=r"protocol 99 \(prune-tui 9.9\)"):
        await links.far(["sh", "-c", f"echo '{hello}'; cat"])


def test_the_command_for_ssh_takes_no_option_for_a_host_and_quotes_the_run() -> None:
    argv = links.ssh("me@host", "2026 run", runs="/a b")
    assert argv[:3] == ["ssh", "-o", "BatchMode=yes"]
    assert argv[-2:] == ["me@host", "prune-tui relay --runs '/a b' -- '2026 run'"]
    for host in ("-oProxyCommand=x", ""):
        with pytest.raises(RunnerError):
            links.ssh(host, "r")


async def test_the_relay_waits_for_a_worker_that_is_starting(tmp_path: Path) -> None:
    folder = folders.create(tmp_path, "x")
    handle = journal.hold(folder)
    waiting = asyncio.create_task(durable(FarRun(command(folder))))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    journal.Journal(folder, handle=handle).append(Finished(state="done"))
    os.close(handle)
    assert [e.seq for e in await waiting] == [1]
