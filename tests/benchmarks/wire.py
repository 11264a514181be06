"""The wire: what an event costs its reader, how long lists take, and what a warm start saves.

Usage: python tests/benchmarks/wire.py [--no-engine]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import msgspec

from engine import folders
from engine.client import Client
from engine.events import EpochEnded, Started
from engine.keeping import SUMMARY, Summary
from engine.recipe import Part, Prune, Recipe, Train
from engine.session import Session
from engine.warming import Nursery

WORK = f"{Path(__file__).parent.parent / 'engine' / 'fake_work.py'}:work"


async def events(runs: Path) -> None:
    """Processor time of a client for each event, live and folded."""
    run = await Client(execute=WORK).start_run(Recipe(name="flood", train=Train(epochs=1)), runs)
    began, count = time.process_time(), 0
    async for _ in run.messages():
        count += 1
    live = (time.process_time() - began) / count
    session, began = Session(), time.process_time()
    async for message in run.messages():
        session = session.apply(message)
    folded = (time.process_time() - began) / count
    print(f"{count:,} events: {live * 1e6:.1f} us each live, {folded * 1e6:.1f} us replayed and folded;"
          f" 2,000 a second take {live * 2000:.1%} of a core")  # fmt: skip


def lists(runs: Path) -> None:
    """Wall time to list 10,000 runs."""
    line = msgspec.json.encode(Summary(run="r" * 30, name="gradual-global", state="done", seq=9, created=1.0))
    for index in range(10_000):
        folder = runs / f"2026-11-22T10-15-00-x-{index}"
        folder.mkdir(parents=True)
        (folder / SUMMARY).write_bytes(line)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        assert len(folders.listed(runs)) == 10_000
        times.append(time.perf_counter() - began)
    print(f"10,000 runs listed in {min(times):.2f} s (best of 3)")


async def starts(runs: Path) -> None:
    """Seconds from asking to the run's first word, and to its first epoch, cold and warm."""
    async with Nursery() as nursery:
        print(f"nursery ready after {(await nursery.ready())['seconds']:.1f} s")
        for words, client in (("cold", Client()), ("warm", Client(nursery=nursery))):
            rows = [await start(client, runs, seed=seed) for seed in (1, 2, 3)]
            first, epoch = (min(row[i] for row in rows) for i in (0, 1))
            print(f"{words}: first word after {first:.2f} s, first epoch after {epoch:.2f} s (best of 3)")


async def start(client: Client, runs: Path, *, seed: int) -> tuple[float, float]:
    """One run of the engine, ended after its first epoch."""
    recipe = Recipe(
        name="start", model=Part("mlp", {"hidden": (16,)}), train=Train(epochs=1000), prune=Prune(), seed=seed
    )
    began, first, epoch = time.perf_counter(), 0.0, 0.0
    run = await client.start_run(recipe, runs)
    async for message in run.messages():
        if isinstance(message, Started):
            first = time.perf_counter() - began
        if isinstance(message, EpochEnded):
            epoch = time.perf_counter() - began
            break
    await run.stop()
    return first, epoch


def main() -> None:
    """All three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-engine", action="store_true", help="leave out what imports TensorFlow")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(events(Path(folder) / "events"))
        lists(Path(folder) / "lists")
        if not given.no_engine:
            asyncio.run(starts(Path(folder) / "starts"))


if __name__ == "__main__":
    main()
