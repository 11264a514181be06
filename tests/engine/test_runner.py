from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import folders, journal, runner
from engine.errors import RunnerError
from engine.events import Attach, Cancel, Finished, Hello, decode, encode
from engine.recipe import Recipe, Train, to_yaml
from engine.session import Session

WORK = f"{Path(__file__).parent / 'fake_work.py'}:work"


def prepared(runs: Path, name: str, *, epochs: int = 2) -> Path:
    folder = folders.create(runs, name)
    (folder / folders.RECIPE).write_text(to_yaml(Recipe(name=name, train=Train(epochs=epochs))))
    return folder


@contextmanager
def running(folder: Path, *more: str, execute: str = WORK) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-P", "-m", "engine.runner", str(folder), "--execute", execute, *more]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(what: Callable[[], object], *, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def deleted(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)  # its worker may be writing a file just now
    return not folder.exists()


def connected(folder: Path) -> socket.socket:
    until(lambda: folders.read_link(folder))
    told = folders.read_link(folder)
    assert told is not None
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(10)
    link.connect(told.socket)
    return link


def test_a_run_to_its_end_leaves_journal_session_summary_and_nothing_else(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "quick")
    with running(folder) as process:
        output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, b"")
    assert sorted(p.name for p in folder.iterdir()) == [
        "checkpoint", "events.jsonl", "recipe.yaml", "session.yaml", "summary.json", "worker.log",
    ]  # fmt: skip
    events = list(journal.read(folder))
    assert [e.seq for e in events] == [1, 2, 3, 4, 5]
    folded = Session()
    for event in events:
        folded = folded.apply(event)
    assert Session.load(folder) == folded
    assert (folded.state, len(folded.epochs)) == ("done", 2)
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["state"], summary["seq"], summary["validation"]) == ("done", 5, 0.5)


@pytest.mark.parametrize(
    ("name", "execute", "code", "words", "where"),
    [
        ("fault", WORK, 1, "ZeroDivisionError: one over nought", "fake_work.py:"),
        ("too-big", WORK, 1, "out of memory", "fake_work.py:"),
        ("full-disk", WORK, 1, "no space left on device", "fake_work.py:"),
        ("full-disk-told-by-tensorflow", WORK, 1, "no space left on device", "fake_work.py:"),
        ("bad-data", WORK, 1, "there is no such data", "data.name"),
        ("no-word", WORK.replace(":work", ":no_word"), 1, "the run ended and did not say how", ""),
        ("nothing", "no.such.module:work", 1, "the engine cannot be loaded: No module named 'no'", "no.such.module"),
    ],
)
def test_every_way_to_fail_is_told_in_words(
    tmp_path: Path, name: str, execute: str, code: int, words: str, where: str
) -> None:
    folder = prepared(tmp_path, name)
    with running(folder, execute=execute) as process:
        assert process.wait(30) == code
    session = Session.load(folder)
    assert (session.state, session.words) == ("failed", words)
    assert session.where.startswith(where)
    log = folders.log_tail(folder)
    assert ("Traceback" in log) == (name in ("fault", "too-big", "full-disk", "full-disk-told-by-tensorflow"))
    assert "Traceback" not in session.words + session.todo


def test_a_recipe_that_is_bad_fails_with_its_place(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "quick")
    (folder / folders.RECIPE).write_text("schema: 1\nname: x\nmodle: mlp\n")
    with running(folder) as process:
        assert process.wait(30) == 1
    assert "recipe.yaml:3:1" in Session.load(folder).words


def test_the_socket_is_private_and_greets_replays_and_obeys(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "hold")
    with running(folder) as process, connected(folder) as link:
        told = folders.read_link(folder)
        assert told is not None
        path = Path(told.socket)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert len(os.fsencode(path)) <= 103
        until(lambda: len(list(journal.read(folder))) == 4)
        lines = link.makefile("rb")
        hello = decode(lines.readline())
        assert isinstance(hello, Hello)
        assert (hello.pid, hello.run) == (process.pid, folder.name)
        link.sendall(b"this is no command\n" + encode(Attach(after=2)))
        assert [getattr(decode(lines.readline()), "seq", 0) for _ in range(2)] == [3, 4]
        link.sendall(encode(Cancel()))
        rest = [decode(line) for line in lines]
        lines.close()
        assert isinstance(rest[-1], Finished)
        assert rest[-1].state == "stopped"
        assert process.wait(30) == 130
        assert not path.exists()
        assert folders.read_link(folder) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_request_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    folder = prepared(tmp_path, "hold")
    with running(folder) as process:
        until(lambda: len(list(journal.read(folder))) == 4)
        process.send_signal(number)
        assert process.wait(30) == 130
    assert Session.load(folder).state == "stopped"


def test_a_run_whose_folder_is_deleted_ends_itself_and_leaves_no_socket(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "hold")
    with running(folder) as process:
        mark = folder / "checkpoint" / "epoch"
        until(lambda: mark.is_file() and mark.read_text() == "2 4")
        told = folders.read_link(folder)
        until(lambda: deleted(folder))
        assert process.wait(30) == runner.VANISHED
    assert told is not None
    assert not Path(told.socket).exists()
    assert not folder.exists()


def test_killed_and_resumed_it_goes_on_from_its_checkpoint_with_the_next_number(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "killed", epochs=3)
    with running(folder) as process:
        assert process.wait(30) == -signal.SIGKILL
    with (folder / journal.NAME).open("ab") as file:
        file.write(b'{"type":"epochen')
    with running(folder, "--resume") as process:
        assert process.wait(30) == -signal.SIGKILL
    events = list(journal.read(folder))
    assert [e.seq for e in events] == [1, 2, 3, 4, 5, 6, 7]
    assert getattr(events[5], "resumed_after", None) == 5
    assert "native words" in folders.log_tail(folder)
    assert "about to die now" in folders.log_tail(folder)


def test_a_second_worker_of_a_run_is_refused(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "hold")
    with running(folder) as process:
        until(lambda: folders.read_link(folder))
        with running(folder) as second:
            assert second.wait(30) == 2
        assert "still going" in folders.log_tail(folder)
        assert process.poll() is None


def test_it_writes_nothing_elsewhere_and_stands_in_its_folder(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "hold")
    with running(folder) as process:
        until(lambda: folders.read_link(folder))
        if sys.platform == "linux":
            assert os.readlink(f"/proc/{process.pid}/cwd") == str(folder)
            assert os.readlink(f"/proc/{process.pid}/fd/0") == os.devnull
            assert os.readlink(f"/proc/{process.pid}/fd/2") == str(folder / "worker.log")
        assert os.getsid(process.pid) == process.pid


def test_what_to_execute_must_be_there() -> None:
    assert runner.executable("engine.runner:main").__name__ == "main"
    for name in ("engine.runner:nothing", "nothing", "/no/such/file.py:work"):
        with pytest.raises(RunnerError, match="cannot be loaded"):
            runner.executable(name)
