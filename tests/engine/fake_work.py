"""A run without TensorFlow, for tests of the process around it: what it does hangs on the recipe's name."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine.errors import DataError
from engine.events import AnyEvent, EpochEnded, Finished, Noted, PhaseBegan, Progress, Started
from engine.recipe import Recipe, to_plain
from engine.running.control import Cancelled, Control


def work(
    recipe: Recipe,
    emit: Callable[[AnyEvent | Progress], int | None],
    *,
    folder: Path | None,
    control: Control,
    resume: bool = False,
) -> None:
    """Epochs of nothing. `hold` lasts until it is told to stop, `deaf` does not heed that either."""
    assert folder is not None
    file = folder / "checkpoint" / "epoch"
    done, seq = map(int, file.read_text().split()) if resume else (0, None)
    emit(
        Started(
            run=folder.name,
            recipe=to_plain(recipe),
            environment={"pid": os.getpid(), "tensorflow": "tensorflow" in sys.modules},
            epochs=recipe.train.epochs,
            resumed_after=seq,
        )
    )
    emit(PhaseBegan(phase="training", epochs=recipe.train.epochs))
    try:
        for epoch in range(done + 1, recipe.train.epochs + 1):
            emit(Progress(phase="training", epoch=epoch, epochs=recipe.train.epochs))
            seq = emit(EpochEnded(epoch=epoch, phase="training", loss=1 / epoch, metric=0.5, validation=0.5))
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{epoch} {seq}")
            control.check()
        _act(recipe.name, emit, control)
    except Cancelled:
        emit(Finished(state="stopped", words="stopped on request"))
        return
    emit(Finished(state="done"))


def _act(name: str, emit: Callable[[AnyEvent | Progress], int | None], control: Control) -> None:
    match name:
        case "killed":
            sys.stdout.write("about to die \x1b[31mnow\x1b[0m\n")
            os.write(2, b"native words\n")
            os.kill(os.getpid(), signal.SIGKILL)
        case "fault":
            raise ZeroDivisionError("one over nought")
        case "too-big":
            raise MemoryError
        case "full-disk":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere/checkpoint")
        case "full-disk-told-by-tensorflow":
            raise RuntimeError("{{function_node x}} /somewhere/checkpoint; No space left on device [Op:SaveV2]")
        case "bad-data":
            raise DataError("there is no such data", where="data.name", todo="Take digits.")
        case "silent-end":
            os._exit(7)
        case "hold":
            while True:
                emit(Progress(phase="training", share=0.5))
                if control.paused:
                    emit(Progress(phase="training", paused=True))
                control.check()
                time.sleep(0.01)
        case "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(0.05)
        case "flood":
            for index in range(20_000):
                emit(Noted(words=f"event {index}"))
        case "no-word":
            time.sleep(0.01)


def no_word(*_: object, **__: object) -> None:
    """Ends without a `Finished`."""
