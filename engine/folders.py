"""The folders of runs: where they are, their names, what each holds, and how a dead run is brought to its end."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine import journal
from engine.errors import PruneError, RunnerError, UnknownName, near
from engine.events import Finished, Phase
from engine.keeping import SUMMARY, Summary, save, summarise
from engine.session import Session

VARIABLE = "PRUNE_TUI_RUNS"
RECIPE, CONTROL, LOG = "recipe.yaml", "control", "worker.log"
_ENDED = ("done", "stopped", "failed")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-")
_summaries = msgspec.json.Decoder(Summary)
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)?|[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """The `control` file of a run that goes on: its socket, its process, what it speaks."""

    socket: str
    pid: int
    protocol: int
    version: str


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One run in a list: its folder, its summary, and whether a worker is at it."""

    folder: str
    summary: Summary
    alive: bool = False

    @property
    def state(self) -> Phase:
        """Its phase; a run that is neither alive nor ended was killed, and so has failed."""
        return self.summary.state if self.alive or self.summary.state in _ENDED else "failed"


def runs_folder(given: str | Path | None = None) -> Path:
    """Where runs are kept: `given` (`--runs DIR`), else `PRUNE_TUI_RUNS`, else the user's data folder."""
    if chosen := given or os.environ.get(VARIABLE):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("prune-tui", appauthor=False) / "runs"


def create(runs: Path, name: str, *, now: float | None = None) -> Path:
    """Makes the folder of a new run: `runs/2026-11-22T10-15-00-gradual-global`, with a number behind it where taken.

    Raises:
        RunnerError: it cannot be made.
    """
    stem = time.strftime("%Y-%m-%dT%H-%M-%S", time.localtime(now))
    slug = re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-.")[:60] or "run"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            folder = runs / f"{stem}-{slug}{'' if number == 1 else f'-{number}'}"
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise RunnerError(
            f"no folder for the run can be made: {error.strerror}",
            where=str(runs),
            todo=f"Name another with --runs DIR, or in {VARIABLE}.",
        ) from None
    raise RunnerError("too many runs of one name in one second", where=str(runs))


def is_run(folder: Path) -> bool:
    """True for a folder that a run was made in."""
    return any((folder / name).is_file() for name in (RECIPE, journal.NAME, "session.yaml"))


def find(run: str | Path, *, runs: str | Path | None = None) -> Path:
    """A run's folder from its path, its name, the end of its name (the newest such run), or the word `last`.

    Raises:
        UnknownName: there is none.
    """
    path = Path(run)
    if path.is_dir() and is_run(path):
        return path.absolute()
    below = runs_folder(runs)
    names = sorted((p.name for p in _folders(below)), reverse=True)
    for name in names:
        if (str(run) in ("last", name) or name.endswith(f"-{run}")) and is_run(below / name):
            return below / name
    ends = {re.sub(_STAMP, "", name) for name in names}
    raise UnknownName("run", str(run), ends if near(str(run), ends) else names[:8], where=str(below))


def name_of(folder: Path) -> str:
    """What a run is called: the end of its folder's name, which renaming changes."""
    return _STAMP.sub("", folder.name)


def listed(runs: Path) -> list[Listed]:
    """All runs, newest first. Cheap: a small file each is read, no session."""
    found = (_listed(entry.path) for entry in _folders(runs))
    return sorted(
        (run for run in found if run is not None), key=lambda run: (run.summary.created, run.folder), reverse=True
    )


def read_link(folder: Path) -> Link | None:
    """How to reach a run's worker; None where there is none."""
    try:
        return msgspec.json.decode((folder / CONTROL).read_bytes(), type=Link)
    except (OSError, msgspec.DecodeError):
        return None


def log_tail(folder: Path, *, lines: int = 40) -> str:
    """The last lines of a worker's log, safe for a terminal (no escape sequences)."""
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 400 * lines))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    clean = _ESCAPES.sub("", text.replace("\r", "\n").replace("\t", "    "))
    return "\n".join([line for line in clean.split("\n") if line.strip()][-lines:])


def disk_use(folder: Path) -> int:
    """Bytes of all files of a run."""
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(path, name)).st_size
            except OSError:
                continue
    return total


def delete(folder: Path) -> None:
    """Deletes a run and all its files. Asking first is the caller's part.

    Raises:
        RunnerError: it is still going, is no run's folder, or cannot be deleted.
    """
    if folder.is_symlink() or not is_run(folder):
        raise RunnerError("this is no run's folder", where=str(folder))
    handle = journal.hold(folder)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise RunnerError(f"the run cannot be deleted: {error.strerror}", where=str(folder)) from None
    finally:
        os.close(handle)


def settle(folder: Path, *, status: int | None = None, stopped: str = "") -> Finished | None:
    """Brings a run whose worker is gone to its end: appends the `Finished` that it could not write, saves the session.

    Does nothing while a worker holds the run, and nothing but saving where it had ended properly.

    Args:
        folder: the run's folder.
        status: how the worker ended, if known: its exit code, or minus the signal that killed it.
        stopped: words for a run that was killed because someone asked; it counts as stopped, not failed.

    Returns:
        What was appended, or (without a number, where the folder cannot be written) what would have been; None where
        nothing was missing.
    """
    if not is_run(folder) or journal.held(folder):
        return None
    try:
        book = journal.Journal(folder)
    except RunnerError:
        return None if journal.held(folder) else _ending_unwritten(folder, status=status, stopped=stopped)
    ending: Finished | None = None
    try:
        if book.session.state not in _ENDED:
            ending = _ending(folder, state=book.session.state, status=status, stopped=stopped)
            written = book.append(ending)
            ending = written if isinstance(written, Finished) else ending
        if _summary(folder).seq != book.last:
            save(book.session, folder)
        _forget_link(folder)
    except (OSError, RunnerError):
        pass
    finally:
        book.close()
    return ending


def _forget_link(folder: Path) -> None:
    """Removes what a killed worker left for its clients: the socket, where it is one of ours, and its address."""
    link = read_link(folder)
    if link is not None:
        with contextlib.suppress(OSError):
            facts = os.lstat(link.socket)
            if stat.S_ISSOCK(facts.st_mode) and facts.st_uid == os.getuid() and link.socket.endswith(".sock"):
                os.unlink(link.socket)
    (folder / CONTROL).unlink(missing_ok=True)


def _ending_unwritten(folder: Path, *, status: int | None, stopped: str) -> Finished | None:
    state = "waiting"
    for event in journal.read(folder):
        state = getattr(event, "phase", getattr(event, "state", state))
    return None if state in _ENDED else _ending(folder, state=state, status=status, stopped=stopped)


def _ending(folder: Path, *, state: str, status: int | None, stopped: str) -> Finished:
    go_on = f"`prune-tui resume {folder.name}` goes on from its last checkpoint"
    if not (folder / "checkpoint").is_dir():
        go_on = "there is no checkpoint yet: run it again"
    todo = f"What it had is kept; {go_on}. The end of its log is in {folder / LOG}."
    if stopped:
        return Finished(state="stopped", words=stopped, where=f"while {state}", todo=todo)
    return Finished(state="failed", words=_how(status), where=f"while {state}", todo=todo)


def _how(status: int | None) -> str:
    if status is None:
        return "the worker is gone and left no word: it was killed (out of memory?), or the machine went down"
    if status >= 0:
        return f"the worker ended with status {status} and left no word"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    return (
        f"the worker was killed by signal {-status} ({name}){'; out of memory?' if -status == signal.SIGKILL else ''}"
    )


def _folders(runs: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(runs) as entries:
            yield from (e for e in entries if not e.name.startswith(".") and e.is_dir())
    except OSError:
        return


def _summary(folder: str | Path) -> Summary:
    try:
        handle = os.open(f"{folder}/{SUMMARY}", os.O_RDONLY | os.O_CLOEXEC)  # a third of the time of pathlib's
        try:
            return _summaries.decode(os.read(handle, 1 << 16))
        finally:
            os.close(handle)
    except (OSError, msgspec.DecodeError):
        return Summary()


def _listed(path: str) -> Listed | None:
    summary = _summary(path)
    if not summary.seq:
        if not is_run(Path(path)):
            return None
        summary = _unsummarised(Path(path))
    ended = summary.state in _ENDED
    return Listed(folder=path, summary=summary, alive=not ended and journal.held(Path(path)))


def _unsummarised(folder: Path) -> Summary:
    """Of a run that has just begun, or of a session that came from elsewhere."""
    name, made = name_of(folder), folder.stat().st_mtime
    try:
        told = summarise(Session.load(folder))
    except PruneError:
        return Summary(run=folder.name, name=name, created=made)
    if told.created:
        return told
    return msgspec.structs.replace(told, run=folder.name, name=name, created=made)  # it has not told its recipe yet
