from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from engine import folders, journal, links
from engine.client import Client, Run
from engine.errors import DataError, RunnerError
from engine.events import AnyEvent, EpochEnded, Finished, Noted, Progress, Started
from engine.recipe import Part, Recipe, Train, load_recipe, to_yaml
from engine.session import Session

WORK = f"{Path(__file__).parent / 'fake_work.py'}:work"


@pytest.fixture(autouse=True)
def _no_worker_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    for folder in tmp_path.iterdir():
        link = folders.read_link(folder)
        if link is not None and journal.held(folder):
            os.kill(link.pid, signal.SIGKILL)


def recipe(name: str, *, epochs: int = 2) -> Recipe:
    return Recipe(name=name, train=Train(epochs=epochs))


async def until(what: Callable[[], object], *, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.02)


async def durable(run: Run, *, after: int = 0) -> list[AnyEvent]:
    async with asyncio.timeout(30):
        return [m async for m in run.messages(after=after) if not isinstance(m, Progress)]


async def test_a_run_is_followed_from_its_start_to_its_end(tmp_path: Path) -> None:
    async with Client(execute=WORK) as client:
        run = await client.start_run(recipe("quick", epochs=3), tmp_path)
        session = Session()
        async for message in run.messages():
            session = session.apply(message)
        assert (session.state, session.seq) == ("done", 6)
        assert Session.load(run.folder) == session
        text = (run.folder / folders.RECIPE).read_text()
        assert to_yaml(load_recipe(run.folder / folders.RECIPE)) == to_yaml(recipe("quick", epochs=3)) == text
        assert run.process is not None
        assert await run.process.wait() == 0
        assert os.listdir(tmp_path) == [run.name]
        assert [e.seq for e in await durable(run, after=4)] == [5, 6]  # ended, and the same again


async def test_a_worker_killed_without_a_word_is_given_its_end_and_the_next_run_works(tmp_path: Path) -> None:
    async with Client(execute=WORK) as client:
        run = await client.start_run(recipe("killed"), tmp_path)
        events = await durable(run)
        last = events[-1]
        assert isinstance(last, Finished)
        assert last.words == "the worker was killed by signal 9 (SIGKILL); out of memory?"
        assert f"prune-tui resume {run.name}" in last.todo
        assert "native words" in run.log_tail()
        session = Session.load(run.folder)
        assert (session.state, len(session.epochs), session.seq) == ("failed", 2, last.seq)
        assert not run.alive
        again = await durable(await client.resume_run(run.folder), after=last.seq)
        assert isinstance(again[0], Started)
        assert again[0].seq == last.seq + 1
        following = await durable(await client.start_run(recipe("quick"), tmp_path))
        assert following[-1] == Finished(seq=5, time=following[-1].time, state="done")


async def test_an_end_without_a_word_is_told_with_its_status(tmp_path: Path) -> None:
    run = await Client(execute=WORK).start_run(recipe("silent-end"), tmp_path)
    last = (await durable(run))[-1]
    assert isinstance(last, Finished)
    assert last.words == "the worker ended with status 7 and left no word"


async def test_whoever_comes_later_or_from_elsewhere_sees_the_same(tmp_path: Path) -> None:
    client = Client(execute=WORK)
    run = await client.start_run(recipe("hold"), tmp_path)
    await until(lambda: len(list(journal.read(run.folder))) == 4)
    others = [asyncio.create_task(durable(client.open_run(run.folder), after=after)) for after in (0, 2, 4)]
    await asyncio.sleep(0.2)
    await client.open_run(run.folder).cancel()
    mine = await durable(run)
    for task, after in zip(others, (0, 2, 4), strict=True):
        assert await task == mine[after:]
    assert isinstance(mine[-1], Finished)
    assert mine[-1].state == "stopped"
    with pytest.raises(RunnerError, match="has ended"):
        await run.pause()


async def test_a_link_that_drops_is_made_again_and_nothing_is_lost_or_told_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(execute=WORK)
    run = await client.start_run(recipe("hold"), tmp_path)
    made: list[links.Link] = []
    near = links.near

    async def kept(folder: Path) -> links.Link | None:
        link = await near(folder)
        if link is not None:
            made.append(link)
        return link

    monkeypatch.setattr("engine.client.links.near", kept)
    seen: list[int] = []
    async with asyncio.timeout(30), aclosing(run.messages()) as messages:  # type: ignore[type-var]
        async for message in messages:
            if isinstance(message, Progress):
                if len(made) < 3:
                    await made[-1].close()
                elif message.share:
                    os.kill(run.process.pid if run.process else 0, signal.SIGTERM)
            else:
                seen.append(message.seq)
    assert seen == [1, 2, 3, 4, 5]
    assert len(made) == 3


async def test_pause_holds_it_and_resume_lets_it_go(tmp_path: Path) -> None:
    run = await Client(execute=WORK).start_run(recipe("hold"), tmp_path)
    await run.pause()
    assert run.alive
    seen: list[bool] = []
    async with asyncio.timeout(30), aclosing(run.messages()) as messages:  # type: ignore[type-var]
        async for message in messages:
            if isinstance(message, Progress) and message.paused:
                await run.resume()
                seen.append(True)
            elif isinstance(message, Progress) and seen and message.share:
                await run.cancel()
    assert seen
    assert Session.load(run.folder).state == "stopped"


async def test_the_stop_ladder_ends_at_the_deaf(tmp_path: Path) -> None:
    run = await Client(execute=WORK).start_run(recipe("deaf"), tmp_path)
    await until(lambda: len(list(journal.read(run.folder))) == 4)
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await run.stop(cancel=0.3, terminate=0.3)
    assert time.monotonic() - began < 10
    session = Session.load(run.folder)
    assert session.state == "stopped"
    assert session.words.startswith("stopped by force")
    assert run.process is not None
    assert await run.process.wait() == -signal.SIGKILL


async def test_a_run_outlives_whoever_started_it(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom engine.client import Client\n"
        "from engine.recipe import Recipe, Train\n"
        f"client = Client(execute={WORK!r})\n"
        "run = asyncio.run(client.start_run(Recipe(name='hold', train=Train(epochs=1)), sys.argv[1]))\n"
        "print(run.folder)"
    )
    argv = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    run = Client().open_run(Path(done.stdout.strip()))
    await until(lambda: len(list(journal.read(run.folder))) == 3)
    assert run.alive
    await run.stop(cancel=10)
    assert not run.alive
    assert Session.load(run.folder).state == "stopped"


async def test_twenty_thousand_events_arrive_each_once_and_in_order(tmp_path: Path) -> None:
    run = await Client(execute=WORK).start_run(recipe("flood"), tmp_path)
    count = last = 0
    async for message in run.messages():
        if isinstance(message, Noted):
            count += 1
        if not isinstance(message, Progress):
            assert message.seq == last + 1
            last = message.seq
    assert count == 20_000


async def test_a_file_that_is_not_there_is_told_before_anything_is_begun(tmp_path: Path) -> None:
    given = Recipe(name="x", data=Part("npz", {"npz": str(tmp_path / "none.npz")}))
    with pytest.raises(DataError, match=r"none\.npz: there is no such file"):
        await Client(execute=WORK).start_run(given, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


async def test_what_cannot_be_resumed_says_so(tmp_path: Path) -> None:
    client = Client(execute=WORK)
    with pytest.raises(RunnerError, match="its recipe is not there"):
        await client.resume_run(tmp_path)
    run = await client.start_run(recipe("hold"), tmp_path)
    with pytest.raises(RunnerError, match="still going"):
        await client.resume_run(run.folder)
    await run.stop(cancel=10)


async def test_whoever_has_seen_all_of_an_ended_run_is_told_nothing_more(tmp_path: Path) -> None:
    run = await Client(execute=WORK).start_run(recipe("quick"), tmp_path)
    last = (await durable(run))[-1].seq
    assert await durable(run, after=last) == []
    assert await durable(run, after=last + 7) == []
    with_note = journal.Journal(run.folder)
    with_note.append(Noted(words="exported"))  # after the end, as an export of later does
    with_note.close()
    assert [type(e) for e in await durable(run, after=last)] == [Noted]
    assert Session.load(run.folder).state == "done"


async def test_nothing_at_all_ends_at_once(tmp_path: Path) -> None:
    assert await durable(Client().open_run(tmp_path / "none")) == []


def test_neither_the_client_nor_what_it_needs_imports_anything_heavy() -> None:
    code = (
        "import sys, engine.client, engine.relay, engine.warming\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'textual', 'yaml', 'multiprocessing', 'platformdirs'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_an_epoch_that_the_checkpoint_does_not_know_is_told_again_and_counted_once(tmp_path: Path) -> None:
    client = Client(execute=WORK)
    run = await client.start_run(recipe("killed", epochs=3), tmp_path)
    await durable(run)
    (run.folder / "checkpoint" / "epoch").write_text("2 4")
    events = await durable(await client.resume_run(run.folder))
    assert [e.epoch for e in events if isinstance(e, EpochEnded)] == [1, 2, 3, 3]
    assert [e.epoch for e in Session.load(run.folder).epochs] == [1, 2, 3]
