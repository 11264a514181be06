"""The worker process of one run: `python -P -m engine.runner FOLDER`. It alone writes in the run's folder.

The recipe lies there as `recipe.yaml`, resolved. `--execute MODULE:FUNCTION` (or `FILE.py:FUNCTION`) runs
something else instead of the engine, for tests and benchmarks. It is heard from the command line only.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.util
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from engine import folders
from engine.errors import PruneError, RunnerError
from engine.events import AnyEvent, Finished, PhaseBegan, Progress, Started
from engine.journal import Journal
from engine.keeping import Keeper, save
from engine.running.control import Cancelled, Control
from engine.serving import Server

Execute: TypeAlias = Callable[..., object]
ENGINE = "engine.running.executing:execute"
CODES = {"done": 0, "failed": 1, "stopped": 130}
VANISHED = 3
_ENGINE = Path(__file__).resolve().parent


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one run to its end.

    Returns:
        The exit code: 0 done, 1 failed, 130 stopped, 2 when it could not even begin.
    """
    parser = argparse.ArgumentParser(prog="engine.runner", description="The worker of one run.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--lock", type=int, default=None, help="descriptor of the journal, locked by the starter")
    parser.add_argument("--execute", default=ENGINE, metavar="MODULE:FUNCTION", help="what to run (for tests)")
    given = parser.parse_args(argv)
    folder: Path = given.folder.absolute()
    silence(folder)
    try:
        journal = Journal(folder, handle=given.lock)
    except RunnerError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is worker.log
        return 2
    try:
        worker = Worker(journal, folder)
    except RunnerError as error:
        journal.append(Finished(state="failed", words=error.what, where=error.where, todo=error.todo))
        save(journal.session, folder)
        return CODES["failed"]
    with worker:
        return worker.work(given.execute, resume=given.resume)


def silence(folder: Path) -> None:
    """Sends descriptors 0, 1, 2 to nowhere and `worker.log`: native code writes to them and would tear the screen."""
    if os.getsid(0) != os.getpid() and os.getpgid(0) != os.getpid():
        os.setsid()  # a group leader cannot, and need not: it was started so
    os.chdir(folder)
    log = os.open(folders.LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    for handle in (null, log):
        if handle > 2:
            os.close(handle)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the process's own
    sys.stdout = open(1, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    import faulthandler

    faulthandler.enable(2)
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"  # never all of a GPU's memory


class Worker:
    """One run at work: journal, session file, socket and control around the engine."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        """Args: journal: open and locked. folder: the run's own."""
        self.journal, self.folder, self.control = journal, folder, Control()
        self.keeper = Keeper(journal, folder)
        self.server = Server(journal, self.control, folder, on_vanish=_vanished)

    def __enter__(self) -> Worker:
        self.server.start()
        self.keeper.start()
        # The handlers do nothing: the C level writes the signal's number to the server's alarm, which is heard even
        # while the main thread is deep in native code.
        signal.set_wakeup_fd(self.server.alarm.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return self

    def __exit__(self, *_: object) -> None:
        self.keeper.close()
        self.server.close()
        signal.set_wakeup_fd(-1)
        self.journal.close()

    def emit(self, message: AnyEvent | Progress) -> int | None:
        """Takes a durable event into the journal and gives its number, or shows progress."""
        if isinstance(message, Progress):
            self.server.progress(message)
            return None
        event = self.journal.append(message)
        self.keeper.seen(event)
        self.server.published(fresh=isinstance(event, Started | PhaseBegan | Finished))
        return event.seq

    def work(self, execute: str, *, resume: bool) -> int:
        """Executes the folder's recipe; every way to end leaves a `Finished` in the journal."""
        before = self.journal.last
        self.emit(Progress(phase="loading"))  # importing TensorFlow takes seconds, and is no silence
        try:
            self._executed(execute, resume=resume)
            ending = Finished(state="failed", words="the run ended and did not say how")
        except Cancelled:
            ending = Finished(state="stopped", words="stopped on request")
        except PruneError as error:
            ending = Finished(state="failed", words=error.what, where=error.where, todo=error.todo)
        except Exception as error:
            traceback.print_exc()
            ending = self._fault(error)
        try:
            if self.journal.last == before or self.journal.session.state not in CODES:
                self.emit(ending)
        except RunnerError as error:
            print(error, file=sys.stderr)  # noqa: T201 - this is worker.log
            return CODES["failed"]
        return CODES[self.journal.session.state]

    def _fault(self, error: Exception) -> Finished:
        if (code := _disk(error)) is not None:
            begun = (self.folder / "checkpoint").is_dir()
            go_on = f"then `prune-tui resume {self.folder.name}` goes on" if begun else "then run it again"
            todo = f"Make room on the disk of {self.folder}, {go_on}; what it had is kept."
            return Finished(state="failed", words=os.strerror(code).lower(), where=_where(error), todo=todo)
        words = f"{type(error).__name__}: {_first_line(error)}"
        todo = f"This is a fault of the program. The whole of it is in {self.folder / folders.LOG}."
        if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's own
            words, todo = "out of memory", "Take a smaller batch, a smaller model, or close what else is running."
        return Finished(state="failed", words=words, where=_where(error), todo=todo)

    def _executed(self, execute: str, *, resume: bool) -> None:
        from engine.recipe import load_recipe

        recipe = load_recipe(self.folder / folders.RECIPE)
        call = executable(execute)
        call(recipe, self.emit, folder=self.folder, control=self.control, resume=resume)


def _disk(error: Exception) -> int | None:
    """The number of the error, where a full disk is to blame; TensorFlow tells of one in words alone."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return error.errno
    return errno.ENOSPC if os.strerror(errno.ENOSPC) in str(error) else None


def executable(name: str) -> Execute:
    """The function behind `module:function` or `file.py:function`.

    Raises:
        RunnerError: there is none.
    """
    module_name, _, function = name.rpartition(":")
    try:
        if module_name.endswith(".py"):
            spec = importlib.util.spec_from_file_location("prune_tui_executed", module_name)
            if spec is None or spec.loader is None:
                raise ImportError(module_name)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(module_name)
        call: Execute = getattr(module, function)
    except (ImportError, OSError, AttributeError, ValueError) as error:
        raise RunnerError(f"the engine cannot be loaded: {error}", where=name) from error
    return call


def _vanished() -> None:
    os._exit(VANISHED)  # nothing may be written any more, and nobody is left to be told


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no words"])[0][:500]


def _where(error: BaseException) -> str:
    """The last place of ours in a traceback."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    ours = [f for f in frames if Path(f.filename).is_relative_to(_ENGINE)] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""


def run_and_exit(argv: Sequence[str] | None = None) -> None:
    """`main`, then the end of the process at once: TensorFlow's threads are not waited for."""
    code = 2
    try:
        code = main(argv)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 2
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
        os._exit(code)


if __name__ == "__main__":
    run_and_exit()
