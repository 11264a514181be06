"""What the tests of the screens share: an app with a feed of made messages, a UTC clock, presets of their own."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import engine.presets
from engine.errors import RunnerError
from engine.events import Message
from engine.recipe import Recipe
from tui import config
from tui.app import PruneApp
from tui.cli import main
from tui.feed import Replay

HERE = Path(__file__).parent
TINY = """
name: tiny
data: {name: digits, limit: 128}
model: {name: mlp, hidden: [12, 8]}
train: {epochs: 2, batch_size: 32, optimizer: {name: adam, learning_rate: 0.01}}
prune:
  criterion: l2_norm
  granularity: unit
  scope: layer
  schedule: one_shot
  target: {sparsity: 0.5}
  repair: {name: fine_tune, epochs: 1}
measure: {latency: null}
"""
GOING = ("compiling", "dense", "pruning")


def _story() -> Any:
    spec = importlib.util.spec_from_file_location("tui_story", HERE / "story.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_module = _story()


class FakeEngine:
    """Gives every run the same story; remembers what was asked."""

    words = "engine ready   TF 2.21"

    def __init__(self, until: str = "done") -> None:
        self.until = until
        self.started: list[Recipe] = []
        self.feeds: list[Replay] = []
        self.warmed = self.closed = False

    async def warm(self) -> None:
        self.warmed = True

    async def start(self, recipe: Recipe) -> Replay:
        if self.until == "refused":
            raise RunnerError("the worker cannot be started: no memory", where="runs/x", todo="Close something.")
        self.started.append(recipe)
        self.feeds.append(Replay(_module.story(until=self.until, name=recipe.name), stays=self.until in GOING))
        return self.feeds[-1]

    async def resume(self, folder: Path) -> Replay:
        self.feeds.append(Replay(_module.story(until="done")))
        return self.feeds[-1]

    async def attach(self, folder: Path) -> Replay:
        self.feeds.append(Replay(folder / "events.jsonl"))
        return self.feeds[-1]

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def story() -> Callable[..., list[Message]]:
    return _module.story


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def presets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], dict[str, Path]]:
    monkeypatch.chdir(HERE)  # paths are shown: they must be the same in every checkout
    monkeypatch.setattr(engine.presets, "shipped_folder", lambda: Path("presets"))
    monkeypatch.setattr(engine.presets, "user_folder", lambda: tmp_path / "own")

    def paths() -> dict[str, Path]:
        folders = (Path("presets"), tmp_path / "own")
        return {p.stem: p for f in folders if f.is_dir() for p in sorted(f.glob("*.yaml"))}

    return paths


@pytest.fixture
def make_app(
    utc: None, presets: Callable[[], dict[str, Path]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., PruneApp]:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.delenv("NO_COLOR", raising=False)

    def make(until: str = "done", *, runs: Path | None = None, **more: Any) -> PruneApp:
        fake = FakeEngine(until)
        settings = more.pop("settings", config.Config(notify="off"))
        app = PruneApp(
            runs or tmp_path / "runs", feed_factory=lambda _: fake, presets=presets, settings=settings,
            memory=tmp_path / "state.json", **more,
        )  # fmt: skip
        app.fake = fake  # type: ignore[attr-defined]
        return app

    return make


@pytest.fixture
def settle() -> Callable[..., Any]:
    """Waits until something holds, at most two seconds."""

    async def until(pilot: Any, holds: Callable[[], bool]) -> None:
        for _ in range(100):
            await pilot.pause(0.02)
            if holds():
                await pilot.pause()
                return
        raise AssertionError("it never came about")

    return until


@pytest.fixture
def text_of() -> Callable[[Any], str]:
    """What is on the screen, as text."""

    def read(app: Any) -> str:
        strips = app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    return read


@pytest.fixture
def kept(tmp_path: Path, story: Callable[..., list[Message]]) -> Callable[..., Path]:
    """A folder of runs with ended sessions in it."""
    from engine.events import encode
    from engine.keeping import save
    from engine.session import Session

    def keep(*names: str, until: str = "done") -> Path:
        runs = tmp_path / "runs"
        for at, name in enumerate(names):
            folder = runs / f"2026-11-22T1{at}-02-11-{name}"
            folder.mkdir(parents=True)
            messages = story(until=until, name=name)
            durable = [m for m in messages if getattr(m, "seq", 0)]
            (folder / "events.jsonl").write_bytes(b"".join(map(encode, durable)))
            session = Session()
            for message in durable:
                session = session.apply(message)
            save(session, folder)
        return runs

    return keep


@pytest.fixture(scope="session")
def ask() -> Callable[..., Result]:
    """The command in this process; whatever it raises but SystemExit is a failure of the test."""

    def asked(*words: object) -> Result:
        result = CliRunner().invoke(main, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return asked


@pytest.fixture(scope="session")
def tiny() -> str:
    """A recipe that runs in seconds."""
    return TINY
