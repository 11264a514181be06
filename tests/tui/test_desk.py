from __future__ import annotations

import asyncio
from pathlib import Path

from engine.recipe import Part, Recipe
from tui.desk import Desk, refusal


class Full:
    """An engine's side whose disk is full."""

    words = "engine ready"

    async def warm(self) -> None: ...

    async def close(self) -> None: ...

    async def start(self, recipe: Recipe) -> None:
        raise OSError(28, "No space left on device", "/runs/recipe.yaml")


async def test_a_start_that_the_disk_refuses_is_a_failed_run_in_words(tmp_path: Path) -> None:
    desk = Desk(tmp_path, lambda _: Full())  # type: ignore[arg-type, return-value]
    await desk.warm()
    live = desk.start(Recipe(name="x"))
    async with asyncio.timeout(5):
        while live.starting:
            await asyncio.sleep(0.01)
    assert live.session.state == "failed"
    assert (live.session.where, live.session.words) == (
        "/runs/recipe.yaml",
        "the run cannot be started: No space left on device",
    )
    await desk.close()


def test_what_keeps_a_recipe_from_starting_is_told(tmp_path: Path) -> None:
    assert refusal(Recipe(name="x")) == ""
    gone = Recipe(name="x", model=Part("file", {"file": str(tmp_path / "none.keras")}))
    assert refusal(gone).startswith(f"It cannot run: {tmp_path / 'none.keras'}: there is no such file")
