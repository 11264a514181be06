from __future__ import annotations

import errno
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import journal
from engine.errors import RunnerError
from engine.events import AnyEvent, EpochEnded, Finished, Noted, PhaseBegan, Result, Started, number
from engine.journal import Journal


def started() -> Started:
    return Started(run="r", recipe={"name": "x"}, environment={}, epochs=3)


def written(folder: Path, *, count: int = 3) -> list[bytes]:
    book = Journal(folder)
    book.append(started())
    for epoch in range(1, count):
        book.append(EpochEnded(epoch=epoch, phase="training", loss=1.0, metric=0.5, validation=0.5))
    book.close()
    return (folder / journal.NAME).read_bytes().splitlines(keepends=True)


def test_events_are_numbered_dated_and_read_back_in_order(tmp_path: Path) -> None:
    times = iter([10.0, 11.0, 12.0])
    book = Journal(tmp_path, clock=lambda: next(times))
    given: list[AnyEvent] = [started(), PhaseBegan(phase="training", epochs=3), Noted(words="é ∑")]
    stamped = [book.append(event) for event in given]
    assert [(e.seq, e.time) for e in stamped] == [(1, 10.0), (2, 11.0), (3, 12.0)]
    assert list(journal.read(tmp_path)) == stamped
    assert [e.seq for e in journal.read(tmp_path, after=1)] == [2, 3]
    assert (book.session.state, book.session.created, book.session.updated, book.session.seq) == (
        "training", 10.0, 12.0, 3,
    )  # fmt: skip
    book.close()


def test_what_a_kill_tore_is_cut_off_and_the_numbers_go_on(tmp_path: Path) -> None:
    lines = written(tmp_path)
    (tmp_path / journal.NAME).write_bytes(b"".join(lines[:2]) + lines[2][:17])
    book = Journal(tmp_path)
    assert (book.last, book.end) == (2, len(lines[0]) + len(lines[1]))
    assert (tmp_path / journal.NAME).stat().st_size == book.end
    assert book.append(Noted(words="again")).seq == 3
    book.close()
    assert [type(e).__name__ for e in journal.read(tmp_path)] == ["Started", "EpochEnded", "Noted"]


def test_a_tail_of_zeros_after_a_power_cut_goes_and_a_spoilt_line_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    lines = written(tmp_path)
    (tmp_path / journal.NAME).write_bytes(lines[0] + b"\0" * 40 + b"\n" + lines[2] + b"\0" * 100 + b"\n")
    book = Journal(tmp_path)
    assert book.last == 3
    assert book.append(Noted(words="on")).seq == 4
    book.close()
    assert [e.seq for e in journal.read(tmp_path)] == [1, 3, 4]


@settings(deadline=None, max_examples=30)
@given(cut=st.integers(0, 10_000))
def test_cut_anywhere_it_opens_and_holds_exactly_the_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    lines = written(folder, count=5)
    whole = b"".join(lines)
    cut %= len(whole) + 1
    (folder / journal.NAME).write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    assert len(list(journal.read(folder))) == kept
    book = Journal(folder)
    assert book.last == kept
    assert (folder / journal.NAME).read_bytes() == b"".join(lines[:kept])
    book.close()


def test_offsets_lead_to_what_a_client_has_not_seen(tmp_path: Path) -> None:
    lines = written(tmp_path, count=4)
    book = Journal(tmp_path)
    assert book.piece(book.offset_after(2)) == b"".join(lines[2:])
    assert book.piece(book.offset_after(0)) == b"".join(lines)
    assert book.offset_after(4) == book.offset_after(99) == book.end
    assert book.piece(book.end) == b""
    book.close()


def test_numbers_that_are_not_finite_come_back(tmp_path: Path) -> None:
    book = Journal(tmp_path)
    book.append(
        EpochEnded(epoch=1, phase="training", loss=number(math.nan), metric=number(math.inf), validation=number(-1e300))
    )
    (event,) = journal.read(tmp_path)
    assert isinstance(event, EpochEnded)
    assert (event.loss, event.metric, event.validation) == ("nan", "inf", -1e300)
    book.close()


def test_an_event_of_more_than_a_mebibyte_is_named_and_left_out(tmp_path: Path) -> None:
    book = Journal(tmp_path)
    book.append(Result(name="big", value="x" * (1 << 20)))
    book.append(Finished(state="done"))
    assert book.end < 1000
    (warning,) = book.session.warnings
    assert warning.startswith("Result has 1,048,")
    assert book.session.state == "done"
    book.close()


def test_one_writer_at_a_time_and_others_can_tell(tmp_path: Path) -> None:
    assert not journal.held(tmp_path)
    book = Journal(tmp_path)
    assert journal.held(tmp_path)
    with pytest.raises(RunnerError, match="still going"):
        journal.hold(tmp_path, patience=0.05)
    book.close()
    assert not journal.held(tmp_path)


def test_the_lock_goes_with_the_open_file_and_a_killed_process_gives_it_back(tmp_path: Path) -> None:
    handle = journal.hold(tmp_path)
    code = "import sys; print('here', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], pass_fds=[handle], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        os.close(handle)
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"here\n"
        assert journal.held(tmp_path)
        worker.kill()
    assert not journal.held(tmp_path)


def test_a_folder_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="No such file"):
        journal.hold(tmp_path / "gone")
    assert list(journal.read(tmp_path / "gone")) == []


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Journal(tmp_path)
    book.append(started())
    before, write, room = (tmp_path / journal.NAME).read_bytes(), os.write, iter([5])

    def full(handle: int, data: bytes) -> int:
        if left := next(room, 0):
            return write(handle, bytes(data[:left]))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("engine.journal.os.write", full)
        with pytest.raises(RunnerError, match="No space left"):
            book.append(Noted(words="lost"))
    assert (tmp_path / journal.NAME).read_bytes() == before
    assert book.append(Noted(words="kept")).seq == 2
    book.close()


def test_a_reader_waits_for_the_rest_of_a_line(tmp_path: Path) -> None:
    lines = written(tmp_path)
    path = tmp_path / journal.NAME
    path.write_bytes(lines[0] + lines[1][:9])
    reader = journal.Reader(tmp_path)
    assert [e.seq for e in reader.more() or []] == [1]
    assert reader.more() is None
    path.write_bytes(b"".join(lines))
    assert [e.seq for e in reader.more() or []] == [2, 3]
