import time
from pathlib import Path

from engine.events import Finished, Started
from engine.session import Session
from tui import notifying
from tui.live import LiveRun

ITERM = {"TERM_PROGRAM": "iTerm.app", "TERM": "xterm-256color"}


def ended(at: float, state: str = "done", words: str = "") -> LiveRun:
    session = Session().apply(Started(seq=1, time=at, run="x", recipe={"name": "sap"}, environment={}))
    return LiveRun(session.apply(Finished(seq=2, time=at, state=state, words=words)), folder=Path("x"))


def test_escapes_of_the_terminals_that_know_them():
    assert notifying.escape("prune-tui", "done", ITERM) == "\x1b]9;prune-tui: done\x1b\\"
    assert notifying.escape("a;b", "c;d", {"TERM": "foot"}) == "\x1b]777;notify;a,b;c;d\x1b\\"
    assert notifying.escape("a", "b", {"KITTY_WINDOW_ID": "1"}).startswith("\x1b]9;")
    assert notifying.escape("a", "b", {"TERM": "xterm-256color"}) == ""
    assert notifying.escape("a", "b", {**ITERM, "TMUX": "/tmp/x"}) == ""


def test_no_word_can_break_out_of_the_escape():
    body = notifying.escape("a", "b\x07\x1b]0;title\x1b\\\n", ITERM)
    assert body.count("\x1b") == 2
    assert "\x07" not in body
    assert "\n" not in body


def test_the_desktops_command_only_where_there_is_a_desktop(monkeypatch):
    monkeypatch.setattr(notifying.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(notifying.sys, "platform", "linux")
    assert notifying.command("a", "-b", {"DISPLAY": ":0"})[-3:] == ["--", "a", "-b"]
    assert notifying.command("a", "b", {}) == []
    assert notifying.command("a", "b", {"DISPLAY": ":0", "SSH_CONNECTION": "1"}) == []


async def test_the_bell_is_the_last_way(monkeypatch):
    told: list[str] = []

    async def tell(how, env):
        told.clear()
        await notifying.notify("x", how, write=told.append, bell=lambda: told.append("bell"), env=env)
        return list(told)

    assert await tell("auto", ITERM) == ["\x1b]9;prune-tui: x\x1b\\"]
    assert await tell("auto", {}) == ["bell"]
    assert await tell("bell", ITERM) == ["bell"]
    assert await tell("off", ITERM) == []
    monkeypatch.setattr(notifying, "command", lambda *_: ["false"])  # a command that fails
    assert await tell("auto", {}) == ["bell"]
    monkeypatch.setattr(notifying, "command", lambda *_: ["true"])
    assert await tell("auto", {}) == []


def test_what_ended_long_ago_or_was_stopped_is_not_told():
    now = time.time()
    assert notifying.worth_it(ended(now))
    assert not notifying.worth_it(ended(now - 3600))
    stopped = ended(now, "stopped")
    stopped.stopping = True
    assert not notifying.worth_it(stopped)


def test_words():
    assert notifying.words(ended(0.0)) == "sap is done: 0.0 % gone"
    assert notifying.words(ended(0.0, "failed", "out of memory")) == "sap failed: out of memory"


async def test_a_run_that_ends_is_told(make_app, settle, monkeypatch):
    from tui.config import Config

    said: list[str] = []

    async def notify(body, how, **_):
        said.append(f"{how}: {body}")

    monkeypatch.setattr(notifying, "notify", notify)
    monkeypatch.setattr(notifying, "worth_it", lambda _: True)
    app = make_app("failed", settings=Config())
    async with app.run_test() as pilot:
        await settle(pilot, lambda: app.painted)
        app.screen.query_one("#list").choose("gradual-global")
        await pilot.press("enter")
        await settle(pilot, lambda: bool(said))
    assert said[0].startswith("auto: gradual-global failed: the worker was killed")
