from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import msgspec
import pytest

from engine import folders, journal
from engine.errors import RunnerError, UnknownName
from engine.events import Counts, EpochEnded, Finished, Measured, PhaseBegan, Started
from engine.journal import Journal
from engine.keeping import SUMMARY, Keeper, Summary, save, summarise
from engine.session import Session


def begun(runs: Path, name: str = "gradual-global", *, now: float | None = None) -> Path:
    """A run that was killed in its second epoch."""
    folder = folders.create(runs, name, now=now)
    (folder / folders.RECIPE).write_text("schema: 1\n")
    book = Journal(folder, clock=lambda: now or 1_000.0)
    book.append(Started(run=folder.name, recipe={"name": name, "title": "T"}, environment={}, denominator="weights"))
    book.append(PhaseBegan(phase="training", epochs=2))
    counts = Counts(weights=100, weights_kept=25)
    book.append(EpochEnded(epoch=1, phase="training", loss=1.0, metric=0.5, validation=0.75, counts=counts))
    book.close()
    return folder


def test_a_folder_is_named_after_its_second_and_its_recipe(tmp_path: Path) -> None:
    now = time.mktime((2026, 11, 22, 10, 15, 0, 0, 0, -1))
    names = [folders.create(tmp_path / "deep", n, now=now).name for n in ("gradual-global", "gradual-global", "A b/ü!")]
    assert names == [
        "2026-11-22T10-15-00-gradual-global", "2026-11-22T10-15-00-gradual-global-2", "2026-11-22T10-15-00-a-b",
    ]  # fmt: skip


def test_where_runs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(folders.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert folders.runs_folder("x") == Path.cwd() / "x"
    assert folders.runs_folder().name == "runs"
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path / "mine"))
    assert folders.runs_folder() == tmp_path / "mine"
    assert folders.runs_folder(tmp_path) == tmp_path


def test_no_folder_to_write_in_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunnerError, match="no folder for the run"):
        folders.create(tmp_path / "file", "x")


def test_a_run_is_found_by_path_name_end_of_name_and_as_the_last(tmp_path: Path) -> None:
    old, new = begun(tmp_path, "one", now=1e9), begun(tmp_path, "two", now=2e9)
    newer = begun(tmp_path, "one", now=1.5e9)
    assert folders.find(str(old)) == old
    assert folders.find(new.name, runs=tmp_path) == new
    assert folders.find("one", runs=tmp_path) == newer
    assert folders.find("last", runs=tmp_path) == new
    with pytest.raises(UnknownName, match="no run named 'three'"):
        folders.find("three", runs=tmp_path)


def test_a_killed_run_is_brought_to_its_end_once(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    with (folder / journal.NAME).open("ab") as file:
        file.write(b'{"type":"epo')
    ending = folders.settle(folder, status=-9)
    assert ending is not None
    assert ending.words == "the worker was killed by signal 9 (SIGKILL); out of memory?"
    assert (ending.where, ending.seq) == ("while training", 4)
    assert "worker.log" in ending.todo
    session = Session.load(folder)
    assert (session.state, session.seq, len(session.epochs)) == ("failed", 4, 1)
    assert folders.settle(folder) is None
    assert len(list(journal.read(folder))) == 4
    (listed,) = folders.listed(tmp_path)
    assert (listed.state, listed.alive, listed.summary.validation) == ("failed", False, 0.75)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "is gone and left no word"),
        (-11, "signal 11 (SIGSEGV)"),
        (-99, "signal 99 (unknown)"),
        (2, "ended with status 2 and left no word"),
    ],
)
def test_how_it_died_is_told_as_far_as_it_is_known(tmp_path: Path, status: int | None, words: str) -> None:
    ending = folders.settle(begun(tmp_path), status=status)
    assert ending is not None
    assert words in ending.words
    assert ("out of memory" in ending.words) == (status is None)


def test_what_was_stopped_by_force_has_not_failed(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    (folder / "checkpoint").mkdir()
    ending = folders.settle(folder, status=-9, stopped="stopped by force")
    assert ending is not None
    assert (ending.state, ending.words) == ("stopped", "stopped by force")
    assert f"prune-tui resume {folder.name}" in ending.todo


def test_a_run_that_goes_on_and_a_folder_of_something_else_are_left_alone(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    handle = journal.hold(folder)
    assert folders.settle(folder) is None
    assert [run.alive for run in folders.listed(tmp_path)] == [True]
    with pytest.raises(RunnerError, match="still going"):
        folders.delete(folder)
    os.close(handle)
    (tmp_path / "other").mkdir()
    assert folders.settle(tmp_path / "other") is None
    assert list((tmp_path / "other").iterdir()) == []
    with pytest.raises(RunnerError, match="no run's folder"):
        folders.delete(tmp_path / "other")


def test_what_a_killed_worker_left_for_its_clients_goes_but_nothing_that_is_no_socket(tmp_path: Path) -> None:
    for name, is_socket in (("s.sock", True), ("precious.sock", False)):
        folder, path = begun(tmp_path / "runs"), tmp_path / name
        if is_socket:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        else:
            path.write_text("precious")
        link = folders.Link(socket=str(path), pid=1, protocol=1, version="0")
        (folder / folders.CONTROL).write_bytes(msgspec.json.encode(link))
        assert folders.settle(folder) is not None
        assert not (folder / folders.CONTROL).exists()
        assert path.exists() != is_socket


def test_a_folder_that_cannot_be_written_is_told_of_and_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = begun(tmp_path)
    before = (folder / journal.NAME).read_bytes()

    def refuse(*_: object, **__: object) -> int:
        raise RunnerError("read-only")

    monkeypatch.setattr("engine.journal.hold", refuse)
    ending = folders.settle(folder, status=-9)
    assert ending is not None
    assert (ending.seq, ending.where) == (0, "while training")
    assert (folder / journal.NAME).read_bytes() == before


def test_a_session_file_that_lags_is_brought_up_to_its_journal(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    book = Journal(folder)
    save(book.session, folder)
    book.append(Finished(state="done"))
    book.close()
    assert Session.load(folder).state == "training"
    assert folders.settle(folder) is None
    assert Session.load(folder).state == "done"


def test_deleted_it_is_gone_and_disk_use_is_the_sum_of_its_files(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    before = folders.disk_use(folder)
    (folder / "exports").mkdir()
    (folder / "exports" / "a").write_bytes(b"x" * 1_000)
    assert folders.disk_use(folder) == before + 1_000
    folders.delete(folder)
    assert list(tmp_path.iterdir()) == []


def test_lists_are_newest_first_and_pass_over_what_is_no_run(tmp_path: Path) -> None:
    made = [begun(tmp_path, name, now=now) for name, now in (("a", 1e9), ("b", 3e9), ("c", 2e9))]
    for folder in made[:2]:
        folders.settle(folder)
    (made[0] / SUMMARY).unlink()  # a session that came from elsewhere, or of an older version
    (tmp_path / "notes").mkdir()
    (tmp_path / ".hidden").mkdir()
    os.utime(made[2], (2e9, 2e9))  # never saved: the folder's own time counts
    listed = folders.listed(tmp_path)
    assert [(run.summary.name, run.state) for run in listed] == [("b", "failed"), ("c", "failed"), ("a", "failed")]
    assert folders.listed(tmp_path / "none") == []


def test_a_run_that_has_told_nothing_yet_is_the_newest_under_its_own_name(tmp_path: Path) -> None:
    folder = folders.create(tmp_path, "snip")
    (folder / folders.RECIPE).write_text("name: snip\n", encoding="utf-8")
    Journal(folder).close()
    (told,) = [run.summary for run in folders.listed(tmp_path)]
    assert told.name == "snip"
    assert abs(told.created - time.time()) < 60


def test_a_run_asked_for_where_there_is_none_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"no run named 'last'\. There is none yet"):
        folders.find("last", runs=tmp_path)


def test_many_runs_are_listed_from_their_summaries_alone(tmp_path: Path) -> None:
    line = msgspec.json.encode(Summary(run="r", name="x", state="done", seq=9, created=1.0))
    for index in range(300):
        folder = tmp_path / f"2026-11-22T10-15-00-x-{index}"
        folder.mkdir()
        (folder / SUMMARY).write_bytes(line)
    assert len(folders.listed(tmp_path)) == 300


def test_the_end_of_a_log_is_safe_for_a_terminal(tmp_path: Path) -> None:
    (tmp_path / folders.LOG).write_bytes(
        b"old\n" * 5_000 + b"a\x1b[2Jb\x1b]0;title\x07c\x9b1m\xff\n\n  \x07d\te\rf\x1b[31m red\x1b[0m\n"
    )
    tail = folders.log_tail(tmp_path, lines=4)
    assert tail.splitlines() == ["old", "abc�1m�", "  d    e", "f red"]
    assert folders.log_tail(tmp_path / "none") == ""


def test_a_summary_tells_what_was_measured() -> None:
    session = Session().apply(Started(run="r", recipe={"name": "n", "family": "f"}, environment={}))
    for which, value in (("dense", 0.97), ("pruned", 0.95)):
        values = {"metric": {"value": value}, "counts": {"bytes_compressed": 7}, "latency": [{"speedup": 1.5}]}
        session = session.apply(Measured(which=which, values=values))  # type: ignore[arg-type]
    session = session.apply(EpochEnded(epoch=1, phase="training", loss="nan", metric=0.1, validation="nan"))
    told = summarise(session)
    assert (told.dense_metric, told.pruned_metric, told.bytes_packed, told.speedup) == (0.97, 0.95, 7, 1.5)
    assert (told.name, told.family, told.validation) == ("n", "f", "nan")
    assert summarise(Session()).pruned_metric is None


def test_the_session_file_is_kept_up_within_its_interval_and_at_phase_ends(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    book = Journal(folder)
    keeper = Keeper(book, folder, every=30.0, least=0.01)
    keeper.start()
    keeper.seen(book.append(EpochEnded(epoch=2, phase="training", loss=1.0, metric=0.5, validation=0.5)))
    time.sleep(0.2)
    assert not (folder / "session.yaml").exists()
    keeper.seen(book.append(PhaseBegan(phase="measuring")))
    until = time.monotonic() + 5
    while not (folder / SUMMARY).exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert Session.load(folder).state == "measuring"
    book.append(Finished(state="done"))
    keeper.close()
    assert Session.load(folder).state == "done"
    book.close()


def test_between_phase_ends_it_is_saved_at_its_interval(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    book = Journal(folder)
    keeper = Keeper(book, folder, every=0.05, least=0.01)
    keeper.start()
    until = time.monotonic() + 5
    while not (folder / SUMMARY).exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert len(Session.load(folder).epochs) == 1
    keeper.close()
    book.close()
