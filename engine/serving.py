"""The worker's side of the socket: a thread that lets any number of clients follow a run and tell it what to do.

Durable events reach every client straight from the journal's file, each at its own pace: there is no queue that could
grow. Progress is only ever the latest, sent to those who have all the rest. Who takes nothing for too long is cut off.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine import __version__, folders
from engine.errors import RunnerError
from engine.events import PROTOCOL, Attach, Cancel, Hello, Pause, Progress, Resume, decode_command, encode
from engine.files import write_atomically
from engine.journal import NAME, Journal
from engine.running.control import Control

LONGEST_PATH = 103  # bytes of a socket's path: 107 on Linux, 103 on macOS
_LONGEST_COMMAND = 1 << 16
_BEAT = 0.01  # publishing wakes this thread at most so often: it must not contend with training
_PROGRESS = 0.05
_WATCH = 1.0
_COMING = 0.05


def runtime_folder() -> Path:
    """A short private folder for sockets.

    Raises:
        RunnerError: it is not ours alone (someone else made it).
    """
    given = os.environ.get("XDG_RUNTIME_DIR")
    places = [Path(given) / "prune-tui"] if given else []
    places += [Path(tempfile.gettempdir()) / f"prune-tui-{os.getuid()}", Path("/tmp") / f"prune-tui-{os.getuid()}"]
    for folder in places:
        if len(os.fsencode(folder)) + 20 > LONGEST_PATH:
            continue
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
        try:
            facts = folder.lstat()
        except OSError:
            continue
        if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o077:
            return folder
    raise RunnerError(
        "there is no private folder for the run's socket",
        where=str(places[-1]),
        todo="It must be a folder of yours with mode 0700: remove it, or set XDG_RUNTIME_DIR.",
    )


def tidy(folder: Path, *, older: float = 60.0) -> None:
    """Removes sockets that killed workers left: those at which nobody listens.

    Args:
        folder: of sockets.
        older: seconds since one was made; a younger one may belong to a worker that is about to listen.
    """
    for path in list(folder.glob("*.sock"))[:100]:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as link:
            if time.time() - path.lstat().st_mtime > older:
                link.settimeout(0)
                try:
                    link.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink()


class _Peer:
    """One client: what it still gets, and from where in the journal."""

    def __init__(self, link: socket.socket, greeting: bytes) -> None:
        self.link, self.inbox, self.outbox = link, bytearray(), memoryview(greeting)
        self.offset: int | None = None  # nothing before it attached
        self.told, self.progressed = 0, 0.0
        self.moved = time.monotonic()


class Server(threading.Thread):
    """Serves one run's journal and takes commands for its control."""

    def __init__(
        self,
        journal: Journal,
        control: Control,
        folder: Path,
        *,
        stall: float = 30.0,
        on_vanish: Callable[[], None] | None = None,
    ) -> None:
        """Listens (from now on; the thread answers once started) and writes the `control` file.

        Args:
            journal: what is served.
            control: what commands act on.
            folder: the run's folder.
            stall: seconds after which a client that takes nothing is cut off.
            on_vanish: called once when the journal's file is gone from the folder.

        Raises:
            RunnerError: no socket can be made.
        """
        super().__init__(name="server", daemon=True)
        self._journal, self._control, self._folder = journal, control, folder
        self._stall, self._on_vanish = stall, on_vanish
        self._progress: Progress | None = None
        self._count = 0
        self._closing: float | None = None
        self._patience = 0.0
        self._peers: dict[int, _Peer] = {}
        self._selector = selectors.DefaultSelector()
        self._woken = False
        self._bell, self.alarm = socket.socketpair()  # `alarm` also takes signals: `signal.set_wakeup_fd`
        self._bell.settimeout(0)
        self.alarm.settimeout(0)
        place = runtime_folder()
        tidy(place)
        self.path = place / f"{secrets.token_hex(6)}.sock"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._listener.bind(str(self.path))
        except OSError as error:
            raise RunnerError(f"the run's socket cannot be made: {error.strerror}", where=str(self.path)) from None
        finally:
            os.umask(before)
        self._listener.listen(16)
        self._listener.settimeout(0)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        told = folders.Link(socket=str(self.path), pid=os.getpid(), protocol=PROTOCOL, version=__version__)
        write_atomically(folder / folders.CONTROL, msgspec.json.encode(told) + b"\n")

    def published(self, *, fresh: bool = False) -> None:
        """The journal has grown; `fresh` forgets progress that is out of date now. For any thread."""
        if fresh:
            self._progress = None
        self._wake()

    def progress(self, message: Progress) -> None:
        """The latest progress. For any thread."""
        self._progress = message
        self._count += 1
        self._wake()

    def close(self, *, patience: float = 2.0) -> None:
        """Gives clients `patience` seconds to take the rest, then ends the thread and leaves no socket behind."""
        self._patience = patience
        self._closing = time.monotonic() + patience
        self._wake()
        if self.is_alive():
            self.join()
        self.forget()
        for peer in list(self._peers.values()):
            self._drop(peer)
        for end in (self._listener, self._bell, self.alarm, self._selector):
            end.close()

    def forget(self) -> None:
        """Removes socket and control file."""
        for path in (self.path, self._folder / folders.CONTROL):
            with contextlib.suppress(OSError):
                path.unlink()

    def run(self) -> None:
        """The thread."""
        watched = time.monotonic()
        while not self._done():
            for key, events in self._selector.select(0.05 if self._closing or self._waits() else _WATCH):
                if key.fileobj is self._bell:
                    self._rung()
                elif key.fileobj is self._listener:
                    self._accept()
                else:
                    peer: _Peer = key.data
                    if events & selectors.EVENT_READ:
                        self._hear(peer)
            for peer in list(self._peers.values()):
                self._pump(peer)
            now = time.monotonic()
            if now - watched >= _WATCH:
                watched = now
                self._watch()

    def _done(self) -> bool:
        if self._closing is None:
            return False
        left = self._closing - time.monotonic()
        if left <= 0:
            return True
        # Whoever just came is still heard: its connection or its `attach` may be on the way.
        coming = self._patience - left < _COMING or any(p.offset is None for p in self._peers.values())
        return not (coming and self._patience - left < 5 * _COMING) and not any(map(self._owed, self._peers.values()))

    def _owed(self, peer: _Peer) -> bool:
        return bool(peer.outbox) or (peer.offset is not None and peer.offset < self._journal.end)

    def _waits(self) -> bool:
        """True while someone's progress only waits for its time."""
        return self._progress is not None and any(
            p.offset is not None and not p.outbox and p.told != self._count for p in self._peers.values()
        )

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            with contextlib.suppress(OSError):
                self.alarm.send(b"\0")

    def _rung(self) -> None:
        with contextlib.suppress(BlockingIOError):
            rings = self._bell.recv(4096)
            if signal.SIGTERM in rings or signal.SIGINT in rings:
                self._control.cancel()
        if self._closing is None:
            time.sleep(_BEAT)
        self._woken = False

    def _accept(self) -> None:
        try:
            link, _ = self._listener.accept()
        except OSError:
            return
        link.settimeout(0)
        hello = Hello(
            protocol=PROTOCOL, version=__version__, run=self._folder.name, pid=os.getpid(), last=self._journal.last
        )
        peer = _Peer(link, encode(hello))
        self._peers[link.fileno()] = peer
        self._selector.register(link, selectors.EVENT_READ, peer)

    def _hear(self, peer: _Peer) -> None:
        try:
            data = peer.link.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        peer.inbox += data
        while (end := peer.inbox.find(b"\n")) >= 0:
            line = bytes(peer.inbox[:end])
            del peer.inbox[: end + 1]
            self._obey(peer, line)
        if not data or len(peer.inbox) > _LONGEST_COMMAND:
            self._drop(peer)

    def _obey(self, peer: _Peer, line: bytes) -> None:
        try:
            command = decode_command(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        match command:
            case Attach(after=after):
                peer.offset = self._journal.offset_after(after)
            case Cancel():
                self._control.cancel()
            case Pause():
                self._control.pause()
                self._tell_held()
            case Resume():
                self._control.resume()
                self._tell_held()

    def _tell_held(self) -> None:
        """Shows at once that the run is held, or goes on: what it told last may be all it tells for long."""
        state = self._journal.session.state
        self.progress(self._progress or Progress(phase=state))

    def _pump(self, peer: _Peer) -> None:
        """Sends what the client takes now."""
        now = time.monotonic()
        while peer.outbox or self._fill(peer, now):
            try:
                sent = peer.link.send(peer.outbox)
            except BlockingIOError:
                break
            except OSError:
                self._drop(peer)
                return
            peer.outbox = peer.outbox[sent:]
            peer.moved = now
        if not peer.outbox:
            peer.moved = now
        elif now - peer.moved > self._stall:
            self._drop(peer)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.outbox else 0)
        if self._selector.get_key(peer.link).events != wanted:
            self._selector.modify(peer.link, wanted, peer)

    def _fill(self, peer: _Peer, now: float) -> bool:
        """The next bytes for a client that took all: the journal first, then the latest progress."""
        if peer.offset is None:
            return False
        if peer.offset < self._journal.end:
            peer.outbox = memoryview(self._journal.piece(peer.offset))
            peer.offset += len(peer.outbox)
            return bool(peer.outbox)
        progress, count = self._progress, self._count
        if progress is None or peer.told == count or now - peer.progressed < _PROGRESS:
            return False
        peer.told, peer.progressed = count, now
        held = self._control.paused
        peer.outbox = memoryview(
            encode(progress if progress.paused == held else msgspec.structs.replace(progress, paused=held))
        )
        return True

    def _watch(self) -> None:
        try:
            here = os.stat(self._folder / NAME)
            gone = not os.path.samestat(here, os.fstat(self._journal.handle))
        except OSError:
            gone = True
        if gone and self._on_vanish is not None:
            self.forget()
            self._on_vanish()

    def _drop(self, peer: _Peer) -> None:
        if peer.link.fileno() >= 0:
            self._peers.pop(peer.link.fileno(), None)
            self._selector.unregister(peer.link)
            peer.link.close()
