from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from engine import journal
from engine.client import Client, Run
from engine.errors import RunnerError
from engine.events import MasksChanged, Started
from engine.recipe import Recipe, Train, load_recipe
from engine.session import Session
from engine.warming import Nursery

WORK = f"{Path(__file__).parent / 'fake_work.py'}:work"


@pytest.fixture
async def light() -> AsyncIterator[Nursery]:
    """A nursery that imports nothing heavy."""
    async with Nursery(spare=False, preload=["engine.runner"]) as nursery:
        yield nursery


def recipe(name: str) -> Recipe:
    return Recipe(name=name, train=Train(epochs=2))


async def until(what: Callable[[], object], *, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.02)


def started(run: Run) -> Started:
    event = next(iter(journal.read(run.folder)))
    assert isinstance(event, Started)
    return event


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")  # where nobody reaps orphans, the dead keep their number
    return stat.is_file() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"


async def test_workers_are_its_children_and_several_work_at_once(light: Nursery, tmp_path: Path) -> None:
    client = Client(nursery=light, execute=WORK)
    runs = [await client.start_run(recipe("hold"), tmp_path) for _ in range(3)]
    await until(lambda: all(len(list(journal.read(run.folder))) == 4 for run in runs))
    for run in runs:
        assert run.process is not None
        assert os.getsid(run.process.pid) == run.process.pid
        assert started(run).environment["pid"] == run.process.pid
        if sys.platform == "linux":
            status = Path(f"/proc/{run.process.pid}/status").read_text()
            assert f"PPid:\t{light.pid}\n" in status
            assert "SigBlk:\t0000000000000000\n" in status
            assert os.readlink(f"/proc/{run.process.pid}/fd/2") == str(run.folder / "worker.log")
    await runs[0].stop(cancel=10)
    assert runs[0].process is not None
    assert await runs[0].process.wait() == 130
    for run in runs[1:]:
        assert run.process is not None
        os.kill(run.process.pid, signal.SIGTERM)
        assert await run.process.wait() == 130
    assert [Session.load(run.folder).state for run in runs] == ["stopped"] * 3


async def test_a_killed_worker_is_reported_and_the_next_one_works(light: Nursery, tmp_path: Path) -> None:
    client = Client(nursery=light, execute=WORK)
    run = await client.start_run(recipe("killed"), tmp_path)
    assert run.process is not None
    assert await run.process.wait() == -signal.SIGKILL
    run = await client.start_run(recipe("quick"), tmp_path)
    assert run.process is not None
    assert await run.process.wait() == 0
    assert Session.load(run.folder).state == "done"


async def test_runs_outlive_their_nursery_and_new_ones_are_started_without(light: Nursery, tmp_path: Path) -> None:
    client = Client(nursery=light, execute=WORK)
    run = await client.start_run(recipe("hold"), tmp_path)
    await until(lambda: len(list(journal.read(run.folder))) == 4)
    pid = light.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: light.pid is None)
    assert run.alive
    assert run.process is not None
    assert await run.process.wait() is None  # nobody can say
    with pytest.raises(RunnerError, match="not to be had"):
        await light.facts()
    await run.stop(cancel=10)
    assert Session.load(run.folder).state == "stopped"
    again = await client.start_run(recipe("quick"), tmp_path)
    assert await again.wait(patience=20)
    assert Session.load(again.folder).state == "done"


async def test_it_ends_when_its_parent_does(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom engine.warming import Nursery\n"
        "async def main():\n n = Nursery(preload=[]); n.start(); await n.ready(); print(n.pid, flush=True)\n"
        " await asyncio.sleep(60)\nasyncio.run(main())"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert not gone(pid)
    parent.kill()
    await parent.communicate()
    await until(lambda: gone(pid))


async def test_a_spare_becomes_the_worker_of_one_run_and_is_replaced(tmp_path: Path) -> None:
    async with Nursery(spare=True, preload=["engine.runner"]) as nursery:
        first = nursery.pid
        client = Client(nursery=nursery, execute=WORK)
        run = await client.start_run(recipe("quick"), tmp_path)
        assert run.process is not None
        assert run.process.pid == first
        assert await run.process.wait() == 0
        assert nursery.pid not in (None, first)
        run = await client.start_run(recipe("hold"), tmp_path)
        await until(lambda: len(list(journal.read(run.folder))) == 4)
    assert run.alive  # the nursery's end is not the run's
    await run.stop(cancel=10)
    assert Session.load(run.folder).state == "stopped"


TINY = """
schema: 1
name: tiny
data: digits
model: {name: mlp, hidden: [16]}
train: {epochs: 2, batch_size: 64}
prune: {criterion: magnitude, target: {sparsity: 0.5}, repair: {name: fine_tune, epochs: 2}}
measure: {latency: null}
"""


async def test_with_tensorflow_it_runs_no_op_and_what_it_forks_trains_and_resumes_exactly(tmp_path: Path) -> None:
    async with Nursery(spare=False) as nursery, asyncio.timeout(200):
        await no_op_was_run(nursery, tmp_path)
        await killed_and_resumed_is_as_if_it_had_not_been(nursery, tmp_path)
        assert await nursery.facts() == {"threads": 1, "tensorflow": True, "ops": False}


async def no_op_was_run(nursery: Nursery, runs: Path) -> None:
    assert not nursery.warm
    run = await Client(nursery=nursery, execute=WORK).start_run(recipe("quick"), runs)  # waits for the imports
    assert nursery.warm
    assert (await nursery.ready())["seconds"] > 0
    assert await nursery.facts() == {"threads": 1, "tensorflow": True, "ops": False}
    assert await run.wait(patience=20)
    assert started(run).environment["tensorflow"] is True


async def killed_and_resumed_is_as_if_it_had_not_been(nursery: Nursery, runs: Path) -> None:
    (runs / "tiny.yaml").write_text(TINY)
    tiny, client = load_recipe(runs / "tiny.yaml"), Client(nursery=nursery)
    whole = await client.start_run(tiny, runs)
    assert await last_state(whole) == "done"
    torn = await client.start_run(tiny, runs)
    async for message in torn.messages():
        if isinstance(message, MasksChanged) and torn.process is not None:
            os.kill(torn.process.pid, signal.SIGKILL)
    assert Session.load(torn.folder).words == "the worker was killed by signal 9 (SIGKILL); out of memory?"
    assert await last_state(await client.resume_run(torn.folder)) == "done"
    sessions = [Session.load(run.folder) for run in (whole, torn)]
    rows = [[(e.epoch, e.phase, e.loss, e.metric, e.validation, e.sparsity) for e in s.epochs] for s in sessions]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 4
    assert sessions[0].counts == sessions[1].counts
    assert sessions[0].sparsity == 0.5
    assert sessions[0].pruned["metric"] == sessions[1].pruned["metric"]


async def last_state(run: Run) -> str:
    """Follows a run to its end."""
    session = Session()
    async for message in run.messages():
        session = session.apply(message)
    assert Session.load(run.folder) == session, run.log_tail()
    return session.state
