"""Small runs on the digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from engine.events import Progress
from engine.recipe_reading import recipe_from
from engine.running.control import Control
from engine.running.executing import execute
from engine.session import Session
from engine.yaml12 import Document


class Ran:
    """A run with all that it said."""

    def __init__(self, run: Any, events: list[Any]) -> None:
        self.run, self.events = run, events
        self.session = Session()
        for number, event in enumerate(events, 1):
            self.session = self.session.apply(msgspec.structs.replace(event, seq=number))

    def of(self, kind: type) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind)]


@pytest.fixture
def play() -> Callable[..., Ran]:
    """Runs a recipe: `play(prune, epochs=..., stop=event -> bool, folder=..., resume=...)`."""

    def run(prune: Any, *, epochs: int = 8, hidden: Any = (16,), stop: Any = None, **keywords: Any) -> Ran:
        recipe = recipe_from(
            Document(
                {
                    "schema": 1, "name": "test", "data": keywords.pop("data", "digits"), "prune": prune,
                    "measure": {"latency": None},
                    "model": keywords.pop("model", {"name": "mlp", "hidden": list(hidden)}),
                    "train": {"epochs": epochs, "batch_size": 64, "optimizer": {"name": "adam", "learning_rate": 0.01}},
                },
                {},
                "test",
            )
        )  # fmt: skip
        events: list[Any] = []
        control = Control()

        def emit(event: Any) -> int | None:
            if isinstance(event, Progress):
                return None
            events.append(event)
            if stop is not None and stop(event):
                control.cancel()
            return len(events)

        return Ran(execute(recipe, emit, control=control, **keywords), events)

    return run
