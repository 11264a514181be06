"""`prune-tui relay RUN`: stands between ssh and a run's socket and copies bytes, both ways, until either side ends.

A run that has ended has no socket: its journal is then sent in the same words.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from pathlib import Path

import msgspec

from engine import __version__, folders, journal
from engine.events import PROTOCOL, Attach, Hello, decode_command, encode

_CHUNK = 1 << 16


def relay(folder: Path, *, source: int = 0, sink: int = 1, patience: float = 60.0) -> None:
    """Copies between two descriptors and the run's socket; returns when one side has ended.

    Args:
        folder: the run's.
        source: where the far client's commands come from.
        sink: where the run's messages go.
        patience: seconds to wait for a worker that is only starting.
    """
    with contextlib.suppress(BrokenPipeError, ConnectionError):
        link = _reached(folder, patience=patience)
        if link is None:
            return _replay(folder, source=source, sink=sink)
        with link:
            _copy(link, source=source, sink=sink)
    return None


def _reached(folder: Path, *, patience: float) -> socket.socket | None:
    """A connection to the worker; None when there is no worker."""
    until = time.monotonic() + patience
    while True:
        told = folders.read_link(folder)
        if told is not None:
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                link.connect(told.socket)
            except OSError:
                link.close()
            else:
                return link
        if not journal.held(folder) or time.monotonic() > until:
            return None
        time.sleep(0.05)


def _copy(link: socket.socket, *, source: int, sink: int) -> None:
    while True:
        readable, _, _ = select.select([source, link.fileno()], [], [])
        if link.fileno() in readable:
            if not (data := link.recv(_CHUNK)):
                return
            _write(sink, data)
        if source in readable:
            if not (data := os.read(source, _CHUNK)):
                return
            link.sendall(data)


def _replay(folder: Path, *, source: int, sink: int) -> None:
    folders.settle(folder)
    last = max((event.seq for event in journal.read(folder)), default=0)
    _write(sink, encode(Hello(protocol=PROTOCOL, version=__version__, run=folder.name, pid=0, last=last)))
    rest = b""
    while data := os.read(source, _CHUNK):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                command = decode_command(line)
                if isinstance(command, Attach):
                    for event in journal.read(folder, after=command.after):
                        _write(sink, encode(event))
                    return


def _write(sink: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(sink, rest) :]
