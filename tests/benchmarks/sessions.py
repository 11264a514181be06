"""How long the list of ten thousand sessions takes to open in the app, from the key to its rows. Asked: under a second.

    python tests/benchmarks/sessions.py [--runs 10000] [--rounds 5]

Real folders with real summaries, read from the disk; the app runs without a terminal.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from engine.keeping import SUMMARY, Summary


def make(runs: Path, count: int) -> None:
    """Folders as ended runs leave them, as far as the list reads them."""
    for at in range(count):
        folder = runs / f"2026-11-22T10-15-00-gradual-global-{at}"
        folder.mkdir(parents=True)
        summary = Summary(
            run=folder.name, name="gradual-global", state="done", seq=9, created=1.7e9 + at, updated=1.7e9 + at + 20,
            sparsity=0.9, dense_metric=0.978, pruned_metric=0.956, bytes_packed=20_000, speedup=1.1,
        )  # fmt: skip
        (folder / SUMMARY).write_bytes(msgspec.json.encode(summary))


async def opened(runs: Path, memory: Path) -> float:
    """Seconds from the key to the rows."""
    from tui import config
    from tui.app import PruneApp

    app = PruneApp(runs, settings=config.Config(notify="off"), memory=memory)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(0.5)
        began = time.perf_counter()
        await pilot.press("s")
        while not (getattr(app.screen, "scope", "") == "sessions" and app.screen.read):
            await asyncio.sleep(0.005)
        await pilot.pause()
        return time.perf_counter() - began


def main() -> None:
    """Makes the folders, opens the list several times, prints the median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder, "runs")
        make(runs, given.runs)
        times = [asyncio.run(opened(runs, Path(folder, "state"))) for _ in range(given.rounds + 1)][1:]
    print(f"{given.runs:,} sessions open in {statistics.median(times):.2f} s (median of {given.rounds}; goal: 1 s)")


if __name__ == "__main__":
    main()
