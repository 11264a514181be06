"""Keeps `session.yaml` (and the short `summary.json` that lists are made of) beside a growing journal.

Writing a long session takes longer than a training step, so a thread of its own does it: where a phase ends, at most
every five seconds between, and never for more than a twentieth of the time.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from engine.events import AnyEvent, Finished, Number, Phase, PhaseBegan, Started
from engine.files import write_atomically
from engine.journal import Journal
from engine.session import Session, to_plain

SUMMARY = "summary.json"
_PHASE_ENDS = (Started, PhaseBegan, Finished)


class Summary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a list of runs says of one of them.

    Attributes:
        seq: the last event that is in it. created, updated: seconds since the epoch.
        sparsity: achieved, in the target's denominator.
        metric: the main metric's name; `validation` its last value on validation data, `dense_metric` and
            `pruned_metric` its measured values.
        bytes_packed: of the result, compressed. speedup: measured, of the result over the dense control, at the last
            (largest) batch size, as the run's own screen has it.
    """

    run: str = ""
    name: str = ""
    title: str = ""
    family: str = ""
    state: Phase = "waiting"
    words: str = ""
    seq: int = 0
    created: float = 0.0
    updated: float = 0.0
    epochs: int = 0
    target: str = ""
    sparsity: float = 0.0
    metric: str = "accuracy"
    validation: Number | None = None
    dense_metric: Number | None = None
    pruned_metric: Number | None = None
    bytes_packed: int | None = None
    speedup: float | None = None
    warnings: int = 0


def summarise(session: Session) -> Summary:
    """The few facts of a session that a list shows."""
    last = session.epochs[-1] if session.epochs else None
    return Summary(
        run=session.run,
        name=session.name,
        title=str(session.recipe.get("title", "")),
        family=str(session.recipe.get("family", "")),
        state=session.state,
        words=session.words,
        seq=session.seq,
        created=session.created,
        updated=session.updated,
        epochs=len(session.epochs),
        target=session.target,
        sparsity=session.sparsity,
        metric=session.metric.name,
        validation=last.validation if last else None,
        dense_metric=_found(session.dense, "metric", "value"),
        pruned_metric=_found(session.pruned, "metric", "value"),
        bytes_packed=_found(session.pruned, "counts", "bytes_compressed"),
        speedup=_found(session.pruned, "latency", -1, "speedup"),
        warnings=len(session.warnings),
    )


def save(session: Session, folder: Path) -> None:
    """Writes `session.yaml` and `summary.json` into a run's folder, each whole or not at all.

    Raises:
        OSError: the folder is gone (it is not made again), or the disk is full.
    """
    from engine.yaml12 import dump

    write_atomically(folder / "session.yaml", dump(to_plain(session)).encode(), parents=False)
    write_atomically(folder / SUMMARY, msgspec.json.encode(summarise(session)) + b"\n", parents=False)


class Keeper(threading.Thread):
    """Saves a journal's session until closed."""

    def __init__(self, journal: Journal, folder: Path, *, every: float = 5.0, least: float = 0.2) -> None:
        """Prepares the thread.

        Args:
            journal: whose session.
            folder: the run's folder.
            every: seconds between saves within a phase.
            least: seconds between any two saves.
        """
        super().__init__(name="keeper", daemon=True)
        self._journal, self._folder, self._every, self._least = journal, folder, every, least
        self._due, self._closed = threading.Event(), threading.Event()
        self._saved = -1
        self._cost = 0.0

    def seen(self, event: AnyEvent) -> None:
        """Tells of one more event; cheap."""
        if isinstance(event, _PHASE_ENDS):
            self._due.set()

    def close(self) -> None:
        """Ends the thread and saves what is left."""
        self._closed.set()
        self._due.set()
        if self.is_alive():
            self.join()
        self._save()

    def run(self) -> None:
        """The thread."""
        while not self._closed.is_set():
            self._due.wait(self._every)
            self._due.clear()
            if not self._closed.is_set():
                self._save()
                self._closed.wait(max(self._least, 20 * self._cost))

    def _save(self) -> None:
        session = self._journal.session
        if session.seq == self._saved:
            return
        began = time.monotonic()
        try:
            self._journal.sync()
            save(session, self._folder)
            self._saved = session.seq
        except FileNotFoundError:  # the folder was deleted: the server sees that, too
            return
        except OSError as error:  # a full disk: the journal complains where it can be heard
            print(f"session.yaml could not be written: {error}", file=sys.stderr)  # noqa: T201 - this is worker.log
        self._cost = time.monotonic() - began


def _found(plain: Any, *path: str | int) -> Any:
    """The number at a path of plain values (a word where it is not finite); None where there is none."""
    for step in path:
        try:
            plain = plain[step]
        except (KeyError, IndexError, TypeError):
            return None
    return plain if isinstance(plain, int | float) or plain in ("nan", "inf", "-inf") else None
