from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from engine import serving
from engine.errors import RunnerError
from engine.events import Attach, Noted, Pause, PhaseBegan, Progress, Resume, decode, encode
from engine.journal import Journal
from engine.running.control import Control
from engine.serving import Server


class Wire:
    """A server on a journal, and clients of it."""

    def __init__(self, folder: Path, *, stall: float = 30.0) -> None:
        self.journal, self.control = Journal(folder), Control()
        self.server = Server(self.journal, self.control, folder, stall=stall)
        self.server.start()
        self.links: list[socket.socket] = []
        self.files: list[BinaryIO] = []

    def client(self, *, after: int = 0) -> socket.socket:
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(10)
        link.connect(str(self.server.path))
        link.sendall(encode(Attach(after=after)))
        self.links.append(link)
        return link

    def lines(self, link: socket.socket) -> BinaryIO:
        self.files.append(link.makefile("rb"))
        return self.files[-1]

    def say(self, words: str) -> None:
        self.journal.append(Noted(words=words))
        self.server.published()

    def close(self) -> None:
        self.server.close(patience=0.5)
        for file in self.files:
            file.close()
        for link in self.links:
            link.close()
        self.journal.close()


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path, stall=0.3)
    yield made
    made.close()


def numbers(lines: list[bytes]) -> list[int]:
    return [getattr(decode(line), "seq", 0) for line in lines[1:]]


def test_what_was_missed_and_what_comes_arrive_once_and_in_order(wire: Wire) -> None:
    for index in range(100):
        wire.say(f"early {index}")
    links = [wire.client(after=after) for after in (0, 50, 100)]
    for index in range(100):
        wire.say(f"late {index}")
    wire.server.close()
    for link, after in zip(links, (0, 50, 100), strict=True):
        assert numbers(wire.lines(link).readlines()) == list(range(after + 1, 201))


def test_progress_is_the_latest_and_never_older_than_a_phase(wire: Wire) -> None:
    link = wire.lines(wire.client())
    assert link.readline().startswith(b'{"type":"hello"')
    for step in range(5_000):
        wire.server.progress(Progress(phase="training", step=step, steps=5_000))
    seen: list[Progress] = []
    while not seen or seen[-1].step < 4_999:
        message = decode(link.readline())
        assert isinstance(message, Progress)
        seen.append(message)
    assert len(seen) < 50
    assert [m.step for m in seen] == sorted(m.step for m in seen)
    wire.server.progress(Progress(phase="training", step=1))
    wire.journal.append(PhaseBegan(phase="measuring"))
    wire.server.published(fresh=True)
    time.sleep(0.1)
    wire.server.close()
    rest = [decode(line) for line in link.readlines()]
    after = [type(m).__name__ for m in rest]
    assert after[after.index("PhaseBegan") + 1 :] == []


def test_who_takes_nothing_is_cut_off_and_holds_up_nobody(wire: Wire) -> None:
    slow, quick = wire.client(), wire.client()
    time.sleep(0.1)
    words = "x" * 5_000
    began = time.monotonic()
    for _ in range(400):  # 2 MB: more than a socket's buffer
        wire.say(words)
    assert time.monotonic() - began < 5
    lines = wire.lines(quick)
    assert numbers([lines.readline() for _ in range(401)]) == list(range(1, 401))
    time.sleep(1.5)  # longer than it may stall
    got = b""
    while data := slow.recv(1 << 16):
        got += data
    assert got.count(b"\n") < 400
    seen = got.count(b"\n") - 1  # without the greeting
    again = wire.lines(wire.client(after=seen))
    assert numbers([again.readline() for _ in range(401 - seen)]) == list(range(seen + 1, 401))


def test_commands_are_heard_and_nonsense_is_not(wire: Wire) -> None:
    link = wire.client()
    link.sendall(b"\xff\n{}\n" + encode(Pause()))
    until = time.monotonic() + 5
    while not wire.control.paused and time.monotonic() < until:
        time.sleep(0.01)
    assert wire.control.paused
    link.sendall(encode(Resume()))
    while wire.control.paused and time.monotonic() < until:
        time.sleep(0.01)
    assert not wire.control.paused
    link.sendall(b"x" * 100_000)
    try:
        while link.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    assert wire.lines(wire.client()).readline().startswith(b'{"type":"hello"')


def test_sockets_live_only_in_a_folder_that_is_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert serving.runtime_folder() == tmp_path / "prune-tui"
    (tmp_path / "prune-tui").chmod(0o755)
    assert serving.runtime_folder() != tmp_path / "prune-tui"
    monkeypatch.setattr("engine.serving.LONGEST_PATH", 5)
    with pytest.raises(RunnerError, match="no private folder"):
        serving.runtime_folder()


def test_sockets_of_the_dead_are_removed_and_those_of_the_living_stay(wire: Wire, tmp_path: Path) -> None:
    dead, young, living = tmp_path / "a.sock", tmp_path / "b.sock", tmp_path / "c.sock"
    for path in (dead, young):
        with socket.socket(socket.AF_UNIX) as link:
            link.bind(str(path))
    os.utime(dead, (1, 1))
    living.hardlink_to(wire.server.path)
    os.utime(living, (1, 1))
    serving.tidy(tmp_path)
    assert [path.exists() for path in (dead, young, living)] == [False, True, True]
