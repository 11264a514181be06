"""The two lines at the top of a run (what, in which state, how far) and what is said when it has failed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from engine.session import Session
from tui.live import LiveRun
from tui.paint import numbers as n
from tui.paint.lines import Line, line, spread, wrap
from tui.paint.marks import track


def state_word(live: LiveRun) -> str:
    """The state in one word."""
    if live.lost and not live.session.finished:
        return "failed"
    if live.going and live.stopping:
        return "stopping"
    if live.going and live.paused:
        return "paused"
    if live.going and live.session.progress is not None and live.session.progress.phase == "compiling":
        return "compiling"
    return live.session.state


def share(live: LiveRun) -> float:
    """How much of the whole run is done, between 0 and 1."""
    if live.session.state == "done":
        return 1.0
    done, planned = _epochs(live)
    progress = live.session.progress
    told = n.known(progress.share) if progress is not None else None
    return min(0.99, done / planned) if planned else min(0.99, told or 0.0)


def seconds_left(live: LiveRun) -> float | None:
    """What is left of the whole run, at the pace of the present phase; of the phase alone where no plan is known."""
    progress = live.session.progress
    if progress is None or progress.seconds_left is None:
        return None
    done, planned = _epochs(live)
    of_phase = progress.epochs - (progress.epoch - 1) - (progress.step / progress.steps if progress.steps else 0.0)
    return progress.seconds_left * (max(1.0, (planned - done) / of_phase) if of_phase > 0 else 1.0)


def _epochs(live: LiveRun) -> tuple[float, int]:
    """Epochs done, with the part of the present one, and epochs planned; 0 where no plan is known."""
    session = live.session
    # The plan does not count the dense control; one that was kept from before costs nothing.
    control = 0 if session.cached_dense else len(session.control)
    done = float(len(session.epochs) + control)
    progress = session.progress
    if live.within and progress is not None and progress.steps:
        done += progress.step / progress.steps
    if control and not session.epochs and session.state == "training":
        control = max(control, session.phase_epochs)
    return done, max(session.planned_epochs, len(session.epochs)) + control if session.planned_epochs else 0


def network(session: Session) -> str:
    """Data, model with its sizes, and seed."""
    recipe = session.recipe
    said = [_part(recipe.get("data")), f"{_part(recipe.get('model'))} {widths(session)}".strip()]
    words = ", ".join(s for s in said if s)
    return f"{words}, seed {recipe['seed']}" if words and "seed" in recipe else words


def widths(session: Session) -> str:
    """A plain stack of dense layers as `64-300-100-10`; nothing for other networks."""
    shapes = [row.shape for row in session.layers]
    chain = bool(shapes) and all(len(s) == 2 for s in shapes)
    if not chain or any(a[1] != b[0] for a, b in pairwise(shapes)) or len(shapes) > 6:
        return ""
    return "-".join(map(str, (shapes[0][0], *(s[1] for s in shapes))))


def _part(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value or "")
    named = next((f"{k} {str(v).rpartition('/')[2]}" for k, v in value.items() if isinstance(v, str)), "")
    return str(value.get("name") or named)


def heading(live: LiveRun, width: int, *, frozen: bool) -> Line:
    """Name and network at the left; state, epoch and time left at the right."""
    session, word = live.session, state_word(live)
    bad = word in ("failed", "stopped")
    end: list[tuple[str, str]] = [(" frozen ", "bad-badge"), (" ", "")] if frozen else []
    end.append((f" {word} ", "bad-badge" if bad else "badge"))
    progress = session.progress
    if live.going and progress is not None:
        if progress.epochs:
            end.append((f"  epoch {progress.epoch:>2} of {progress.epochs}", ""))
        seconds = seconds_left(live)
        if seconds is not None:
            end.append((f"  {n.clock(seconds)} left", "strong"))
    elif session.finished and session.updated > session.created:
        end.append((f"  {n.clock(session.updated - session.created)}", "quiet"))
    end.append((" ", ""))
    room = 60 if width < 100 else 0
    start = line((f" {session.name or 'run'}", "strong"), "" if room else (f"   {network(session)}", "quiet"))
    return spread(start, tuple(end), width)


def progress_line(live: LiveRun, width: int) -> Line:
    """The bar of the whole run."""
    of = track(share(live), max(0, width - 2))
    return ((" ", ""), *of)


def trouble(live: LiveRun, width: int) -> list[Line]:
    """What went wrong, where and what to do, or what the present phase does; at most three lines."""
    session = live.session
    if live.lost and not session.finished:
        told = wrap(f"failed: {live.lost}", width, style="error", most=2, indent=" ")
        return [*told, *wrap("What there was so far is kept; press r to run it again.", width, most=1, indent=" ")]
    if session.state == "failed":
        where = f" ({session.where})" if session.where else ""
        words = session.words or "no reason was given"
        told = wrap(f"failed: {words}{where}", width, style="error", most=2, indent=" ")
        todo = re.sub(r"`prune-tui resume [^`]*` goes on", "press u to go on", session.todo)
        return [*told, *wrap(todo or "Press r to run it again.", width, most=2, indent=" ")]
    if session.state == "waiting" and (live.starting or live.going):
        words = "Waiting for the engine: TensorFlow takes some seconds to load, once."
        return wrap(words, width, style="quiet", most=1, indent=" ")
    if session.state == "stopped":
        return wrap(session.words or "stopped; what there was is saved", width, most=1, indent=" ")
    return []
