"""The journal: a run's durable events, one JSON line each, numbered, appended and never changed. It is the truth.

Whoever writes holds a lock on the file (`hold`), so anyone can ask whether a run is alive (`held`) without trusting a
process number. The lock goes from the starter to the worker with the open file: there is no gap between the two.
"""

from __future__ import annotations

import bisect
import fcntl
import os
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from engine.errors import RunnerError
from engine.events import MOST_BYTES, AnyEvent, Event, Noted, decode, encode
from engine.session import Session

NAME = "events.jsonl"
_CHUNK = 1 << 16


def hold(folder: Path, *, patience: float = 1.0) -> int:
    """Opens a run's journal and locks it: the file descriptor is the right to write in this folder.

    Args:
        folder: the run's folder.
        patience: seconds to wait for a lock that someone is only probing.

    Raises:
        RunnerError: someone else writes there, or the folder cannot be written.
    """
    path = folder / NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RunnerError(f"the run's journal cannot be opened: {error.strerror}", where=str(path)) from None
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(handle)
                raise RunnerError(
                    "this run is still going", where=str(folder), todo="Attach to it, or stop it first."
                ) from None
            time.sleep(0.02)
        except OSError as error:
            os.close(handle)
            raise RunnerError(
                f"the run's journal cannot be locked: {error.strerror}",
                where=str(path),
                todo="Keep runs on a file system that has locks (--runs DIR).",
            ) from None


def held(folder: Path) -> bool:
    """True while a worker (or the process that is starting one) holds the run."""
    try:
        handle = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


class Reader:
    """Reads a journal that may still grow; torn lines wait for their rest, lines that mean nothing are passed over."""

    def __init__(self, folder: Path) -> None:
        """Args: folder: the run's; it need not have a journal yet."""
        self._path, self._offset = folder / NAME, 0

    def more(self, *, after: int = 0, most: int = 1 << 18) -> list[AnyEvent] | None:
        """The next events numbered after `after`, out of some `most` bytes; None when there is no whole line left."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                lines = file.readlines(most)
        except OSError:
            return None
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        self._offset += sum(map(len, lines))
        return [e for line in lines if _numbered(line) > after and (e := parse(line)) is not None] if lines else None


def read(folder: Path, *, after: int = 0) -> Iterator[AnyEvent]:
    """The events of a run in order, those numbered after `after`."""
    reader = Reader(folder)
    while (events := reader.more(after=after)) is not None:
        yield from events


def parse(line: bytes) -> AnyEvent | None:
    """The durable event of a whole line; None for a torn or foreign one."""
    if not line.endswith(b"\n"):
        return None
    try:
        message = decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return message if isinstance(message, Event) else None


class _Number(msgspec.Struct):
    seq: int = 0


_numbers = msgspec.json.Decoder(_Number)


def _numbered(line: bytes) -> int:
    """The number of a line's event, without reading the rest of it."""
    try:
        return _numbers.decode(line).seq
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


class Journal:
    """The writer's end: numbers events, appends them, folds them into a session.

    Attributes:
        handle: the locked file descriptor.
        session: what the events so far amount to.
        last: the latest event's number. end: the file's length in bytes, always at a line's end.
    """

    def __init__(self, folder: Path, *, handle: int | None = None, clock: Callable[[], float] = time.time) -> None:
        """Opens a run's journal, reads what is there, and cuts off what a kill tore.

        Args:
            folder: the run's folder.
            handle: what `hold` gave; without it the lock is taken here.
            clock: seconds since the epoch.

        Raises:
            RunnerError: someone else writes there, or the folder cannot be written.
        """
        self.path = folder / NAME
        self.handle = hold(folder) if handle is None else handle
        self.session = Session()
        self.last = self.end = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers, self._starts = array("Q"), array("Q")
        self._recover()

    def append(self, event: AnyEvent) -> AnyEvent:
        """Numbers, dates, writes and folds one event; what is given back is what was written.

        A single event of more than a mebibyte is left out, and a warning says so.

        Raises:
            RunnerError: the disk is full, or the file is gone.
        """
        with self._lock:
            event = msgspec.structs.replace(event, seq=self.last + 1, time=event.time or self._clock())
            line = encode(event)
            if len(line) > MOST_BYTES:
                words = f"{type(event).__name__} has {len(line):,} bytes, too many for the journal: it was left out"
                event = Noted(seq=event.seq, time=event.time, level="warning", words=words)
                line = encode(event)
            self._write(line)
            self._folded(event, length=len(line))
            return event

    def offset_after(self, seq: int) -> int:
        """Where in the file the events numbered after `seq` begin."""
        with self._lock:
            index = bisect.bisect_right(self._numbers, seq)
            return self._starts[index] if index < len(self._starts) else self.end

    def piece(self, offset: int) -> bytes:
        """Some bytes from `offset`, none at the end."""
        return os.pread(self.handle, min(_CHUNK, max(0, self.end - offset)), offset)

    def sync(self) -> None:
        """Waits until the disk has it all."""
        os.fsync(self.handle)

    def close(self) -> None:
        """Gives the lock back."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self.handle, rest) :]
        except OSError as error:
            os.ftruncate(self.handle, self.end)  # a torn line would spoil the next one
            raise RunnerError(
                f"the run's journal cannot be written: {error.strerror}",
                where=str(self.path),
                todo="Free some space, then resume the run.",
            ) from None

    def _folded(self, event: AnyEvent, *, length: int) -> None:
        self._numbers.append(event.seq)
        self._starts.append(self.end)
        self.last, self.end = event.seq, self.end + length
        self.session = self.session.apply(event)

    def _recover(self) -> None:
        good = 0
        with os.fdopen(os.dup(self.handle), "rb") as file:
            file.seek(0)
            offset = 0
            for line in file:
                event = parse(line)
                if event is not None and event.seq > self.last:
                    self.end = offset
                    self._folded(event, length=len(line))
                    good = self.end
                offset += len(line)
        self.end = good
        if offset > good:
            os.ftruncate(self.handle, good)
