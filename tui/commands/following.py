"""A run on a plain terminal: one progress bar, one line for whatever is worth keeping."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from engine.events import (
    Decided,
    EpochEnded,
    Finished,
    Hello,
    MasksChanged,
    Measured,
    Message,
    Noted,
    PhaseBegan,
    Result,
    Started,
    as_float,
)
from engine.events import Progress as Live
from engine.session import Session


async def follow(messages: AsyncIterator[Message], *, told: int = 0) -> Finished | None:
    """Prints what happens after event number `told`; gives the last event."""
    console = Console(markup=False)
    session, last, held, phase = Session(), None, "", ""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(None),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=1.0)
        async for message in messages:
            session = session.apply(message)
            if not isinstance(message, Live | Hello) and 0 < message.seq <= told:
                continue
            line = _line(message, session)
            phase = message.words if isinstance(message, PhaseBegan) else phase
            if isinstance(message, MasksChanged) and message.words == phase:
                line = ""  # the phase's own line has told it
            if held and not line.startswith(held):  # the decision for a change of masks says it again, and more
                console.print(held, highlight=False, soft_wrap=True)
            held = line if isinstance(message, MasksChanged) else ""
            if isinstance(message, Live):
                _move(bar, task, message)
            elif line and not held:
                console.print(line, highlight=False, soft_wrap=True)
            if isinstance(message, Finished):
                last = message
    _summary(console, session)
    return last


def _move(bar: Progress, task: TaskID, live: Live) -> None:
    words = f"{live.phase}{' (paused)' if live.paused else ''} epoch {live.epoch} of {live.epochs}"
    bar.update(task, description=words if live.epochs else live.phase, completed=live.share)


def _line(message: Message, session: Session) -> str:
    name = session.metric.name
    match message:
        case PhaseBegan(phase=phase, words=words, control=control):
            doing = f"{phase}{' the dense control' if control else ''}"
            return words if words.startswith(doing) else f"{doing}{': ' + words if words else ''}"
        case EpochEnded(control=control):
            dense = "dense " if control else ""
            return (
                f"  {dense}epoch {message.epoch:>3}   loss {as_float(message.loss):.4f}"
                f"   {name} {as_float(message.metric):.3f}   validation {as_float(message.validation):.3f}"
                f"   sparsity {message.sparsity:.1%}"
            )
        case MasksChanged(words=words, step=step, before=before, after=after):
            was, now = f"{before:.1%}", f"{after:.1%}"
            told = words or (f"masks updated at step {step}: {was} -> {now}" if was != now else "")
            return f"  {told}" if told else ""
        case Decided(words=words) | Noted(words=words, level="info"):
            return "  " + words
        case Noted(words=words):
            return "  warning: " + words
        case Result(name="sweep", value=[*_, dict() as row]):
            return "  " + ", ".join(f"{k.replace('_', ' ')} {_short(v)}" for k, v in row.items() if v is not None)
        case Measured(which="before_recovery", values=values):
            return f"  before any repair: validation {as_float(values.get('validation')):.3f}"
        case Started(resumed_after=int()):
            return "resumed from the last checkpoint"
        case Finished(state=state, words=words, where=where, todo=todo):
            return ": ".join(filter(None, [state, where, words])) + (f". {todo}" if todo else "")
        case _:
            return ""


def _short(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _summary(console: Console, session: Session) -> None:
    from tui.commands.showing import summary

    if session.pruned:
        console.print(summary(session))
