"""Makes the README's pictures: the real app, run by its keys, on runs that it has just done (`make pictures`)."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from tui.app import PruneApp

HERE = Path(__file__).resolve().parent / "pictures"
SIZE = (120, 40)
PRESET = "gradual-global"


async def until(pilot: Pilot[int], there: Callable[[], bool], *, seconds: float = 300.0) -> None:
    """Waits for something to be seen."""
    for _ in range(int(seconds / 0.1)):
        await pilot.pause(0.1)
        if there():
            return
    raise TimeoutError("what the picture is of did not come")


async def settled(pilot: Pilot[int]) -> None:
    """Lets the painter catch up: it paints four times a second."""
    await pilot.pause(1.0)


async def presets(pilot: Pilot[int]) -> None:
    """The menu, with the engine warm and a preset chosen."""
    app = pilot.app
    await until(pilot, lambda: getattr(app, "painted", False))
    app.screen.query_one("#list").choose(PRESET)  # type: ignore[attr-defined]
    await until(pilot, lambda: "ready" in getattr(app, "engine_words", ""))
    await settled(pilot)


async def running(pilot: Pilot[int]) -> None:
    """A run in the middle of pruning."""
    await presets(pilot)
    await pilot.press("enter")
    await until(pilot, lambda: getattr(pilot.app.screen, "scope", "") == "run")
    live = pilot.app.screen.live  # type: ignore[attr-defined]
    await until(pilot, lambda: live.session.sparsity > 0.6)
    await pilot.press("f")  # freeze: the picture stands still while the run goes on
    await settled(pilot)


async def finished(pilot: Pilot[int]) -> None:
    """The same run at its end."""
    await presets(pilot)
    await pilot.press("enter")
    await until(pilot, lambda: getattr(pilot.app.screen, "scope", "") == "run")
    live = pilot.app.screen.live  # type: ignore[attr-defined]
    await until(pilot, lambda: live.session.finished)
    await settled(pilot)


async def picture(name: str, act: Callable[[Pilot[int]], Awaitable[None]], folder: Path) -> None:
    """Runs the app to a point and writes what it shows."""
    app = PruneApp(folder / "runs", memory=folder / "memory.json")
    async with app.run_test(size=SIZE) as pilot:
        await act(pilot)
        HERE.mkdir(exist_ok=True)
        (HERE / f"{name}.svg").write_text(app.export_screenshot(title="prune-tui"), encoding="utf-8")


def main() -> None:
    """All pictures, one after the other."""
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["PRUNE_TUI_CACHE"] = temporary
        for name, act in (("run", running), ("done", finished), ("presets", presets)):
            asyncio.run(picture(name, act, Path(temporary)))


if __name__ == "__main__":
    main()
