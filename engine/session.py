"""A session: what a run has said so far, as one value. `session = session.apply(event)` is a pure fold.

Saved as YAML (`session.yaml`), atomically: a kill at any time leaves a file that loads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from engine.errors import PruneError
from engine.events import (
    AnyEvent,
    Counts,
    Decided,
    EpochEnded,
    Finished,
    LayersSeen,
    LayerState,
    MasksChanged,
    Measured,
    Message,
    Metric,
    Noted,
    Phase,
    PhaseBegan,
    Progress,
    Result,
    Saved,
    Started,
    Surgery,
    as_float,
)

SCHEMA = 1
MOST_LOG = 500


class LogLine(msgspec.Struct, frozen=True):
    """One line of the log."""

    time: float
    words: str
    level: str = "info"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of a run.

    Attributes:
        epochs: one row an epoch of the run itself; `control`: the same for the dense control.
        prunes: every change of masks; `decisions`: what a self-deciding method did.
        layers: as they are now. counts: in the three denominators.
        dense, pruned, before_recovery: measurements by name, as `engine.measurement` writes them.
        results: tables that a method added, by name.
        progress: the latest live progress; never saved.
    """

    schema: int = SCHEMA
    run: str = ""
    state: Phase = "waiting"
    words: str = ""
    where: str = ""
    todo: str = ""
    created: float = 0.0
    updated: float = 0.0
    seq: int = 0
    recipe: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    metric: Metric = Metric()
    planned_epochs: int = 0
    phase_epochs: int = 0
    target: str = ""
    target_value: float | None = None
    denominator: str = "weights"
    counts: Counts = Counts()
    layers: tuple[LayerState, ...] = ()
    epochs: tuple[EpochEnded, ...] = ()
    control: tuple[EpochEnded, ...] = ()
    prunes: tuple[MasksChanged, ...] = ()
    decisions: tuple[Decided, ...] = ()
    surgery: Surgery | None = None
    dense: dict[str, Any] = {}
    before_recovery: dict[str, Any] = {}
    pruned: dict[str, Any] = {}
    results: dict[str, Any] = {}
    files: dict[str, str] = {}
    warnings: tuple[str, ...] = ()
    log: tuple[LogLine, ...] = ()
    cached_dense: bool = False
    progress: Progress | None = None

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self.recipe.get("name", self.run))

    @property
    def finished(self) -> bool:
        """True after the last event."""
        return self.state in ("done", "stopped", "failed")

    @property
    def sparsity(self) -> float:
        """What is gone, in the target's denominator."""
        return self.counts.unit_sparsity if self.denominator == "units" else self.counts.weight_sparsity

    def apply(self, message: Message) -> Session:
        """The session after one more message. Events that were folded already (by `seq`) change nothing."""
        if isinstance(message, Progress):
            return msgspec.structs.replace(self, progress=message)
        fold = _FOLDS.get(type(message))
        if fold is None:
            return self
        event: Any = message
        if event.seq and event.seq <= self.seq:
            return self
        changes = fold(self, event)
        changes["seq"] = event.seq or self.seq
        changes["updated"] = event.time or self.updated
        if line := _line(event):
            level = getattr(event, "level", "info")
            log = self.log
            if log and log[-1].level == level and line.startswith(log[-1].words):
                log = log[:-1]  # a change of masks and the decision for it say the same: the longer one stays
            changes["log"] = (*log[-MOST_LOG + 1 :], LogLine(event.time, line, level))
        return msgspec.structs.replace(self, **changes)

    def save(self, path: str | Path) -> None:
        """Writes the session as YAML, atomically (temporary file in the same folder, flush, fsync, replace)."""
        from engine.files import write_atomically
        from engine.yaml12 import dump

        write_atomically(path, dump(to_plain(self)).encode())

    @staticmethod
    def load(path: str | Path) -> Session:
        """Reads a session file, or the session of a run's folder.

        Raises:
            PruneError: there is none, or it cannot be understood.
        """
        file = Path(path)
        file = file / "session.yaml" if file.is_dir() else file
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise PruneError(f"no session can be read: {error.strerror}", where=str(file)) from None
        except UnicodeDecodeError:
            raise PruneError("this is no text, so no session", where=str(file)) from None
        from engine.yaml12 import parse

        plain = parse(text, str(file)).value
        if not isinstance(plain, dict) or plain.get("schema") != SCHEMA:
            raise PruneError(
                "this is not a session of this version",
                where=str(file),
                todo=f"Expected `schema: {SCHEMA}`; open it with the version that wrote it.",
            )
        return from_plain(plain, where=str(file))


def to_plain(session: Session) -> dict[str, Any]:
    """A session as plain values for YAML: rows of epochs become columns, live progress is left out."""
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(session, progress=None))
    plain.pop("progress")
    for key in ("epochs", "control"):
        plain[key] = _columns([msgspec.structs.asdict(row) for row in getattr(session, key)])
    return plain


def from_plain(plain: dict[str, Any], *, where: str = "session") -> Session:
    """The inverse of `to_plain`."""
    plain = dict(plain)
    try:
        for key in ("epochs", "control"):
            plain[key] = _rows(plain.get(key) or {})
        session: Session = msgspec.convert(plain, Session)
    except (msgspec.ValidationError, TypeError, AttributeError, IndexError) as error:
        raise PruneError(f"this session cannot be understood: {error}", where=where) from None
    return session


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    if not rows:
        return {}
    plain = [msgspec.to_builtins(row) for row in rows]
    return {key: [row[key] for row in plain] for key in plain[0]}


def _rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    if not columns:
        return []
    count = len(next(iter(columns.values())))
    return [{"type": "epochended", **{key: column[i] for key, column in columns.items()}} for i in range(count)]


def _started(session: Session, event: Started) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "run": event.run, "state": "loading", "recipe": event.recipe, "environment": event.environment,
        "metric": event.metric, "planned_epochs": event.epochs, "target": event.target,
        "target_value": event.target_value, "denominator": event.denominator,
        "created": session.created or event.time, "words": "", "where": "", "todo": "",
    }  # fmt: skip
    if event.resumed_after is not None:
        for rows in ("epochs", "control", "prunes", "decisions"):
            changes[rows] = tuple(e for e in getattr(session, rows) if e.seq <= event.resumed_after)
    return changes


def _phase(session: Session, event: PhaseBegan) -> dict[str, Any]:
    return {
        "state": event.phase,
        "words": event.words,
        "phase_epochs": event.epochs,
        "cached_dense": session.cached_dense or event.cached,
        "progress": None,
    }


def _epoch(session: Session, event: EpochEnded) -> dict[str, Any]:
    if event.control:
        return {"control": (*session.control, event)}
    return {"epochs": (*session.epochs, event), "counts": event.counts if event.counts.weights else session.counts}


def _masks(session: Session, event: MasksChanged) -> dict[str, Any]:
    kept = msgspec.structs.replace(event, layers=())  # layers are told once, below; a history of them grows too large
    return {"prunes": (*session.prunes, kept), "layers": event.layers or session.layers, "counts": event.counts}


def _finished(session: Session, event: Finished) -> dict[str, Any]:
    # A run that fails before it has started is listed with the time it failed at, not with 1970.
    created = session.created or event.time
    return {
        "state": event.state, "words": event.words, "where": event.where, "todo": event.todo, "progress": None,
        "created": created,
    }  # fmt: skip


def _noted(session: Session, event: Noted) -> dict[str, Any]:
    return {"warnings": (*session.warnings, event.words)} if event.level == "warning" else {}


_FOLDS: dict[type, Any] = {
    Started: _started,
    PhaseBegan: _phase,
    EpochEnded: _epoch,
    MasksChanged: _masks,
    Decided: lambda s, e: {"decisions": (*s.decisions, e)},
    LayersSeen: lambda s, e: {"layers": e.layers, "counts": e.counts},
    Surgery: lambda s, e: {"surgery": e},
    Measured: lambda s, e: {e.which: e.values},
    Result: lambda s, e: {"results": {**s.results, e.name: e.value}},
    Noted: _noted,
    Saved: lambda s, e: {"files": {**s.files, e.file: e.what or f"{e.bytes} bytes"}},
    Finished: _finished,
}


def _line(event: AnyEvent) -> str:
    """The event's line in the log, or ""."""
    match event:
        case Started(resumed_after=int()):
            return "resumed from the last checkpoint"
        case Noted(words=words) | Decided(words=words):
            return words
        case PhaseBegan(phase=phase, words=words):
            return words or phase
        case EpochEnded(epoch=epoch, validation=validation, control=control):
            return f"{'dense control, ' if control else ''}epoch {epoch}: validation {as_float(validation):.3f}"
        case MasksChanged(words=words, step=step, before=before, after=after):
            was, now = f"{before:.1%}", f"{after:.1%}"
            return words or (f"masks updated at step {step}: {was} -> {now}" if was != now else "")
        case Saved(file=file):
            return f"saved {file}"
        case Finished(state=state, words=words):
            return f"{state}{': ' + words if words else ''}"
        case _:
            return ""
