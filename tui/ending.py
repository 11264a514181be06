"""How a command ends: its exit codes, and one sentence, never a traceback, when it cannot do what was asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import PruneError

DONE, FAILED, BAD_INPUT, CANCELLED, UNREAD = 0, 1, 2, 130, 141


@contextmanager
def in_words() -> Iterator[None]:
    """Errors for people, and exit code 2."""
    try:
        yield
    except PruneError as error:
        _end(str(error))
    except OSError as error:  # a folder that cannot be written, a full disk
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror or error}")


def unread(end: BaseException) -> bool:
    """Whether a command ended because nobody reads its output any more (`| head`); Rich makes an exit of it."""
    return isinstance(end, BrokenPipeError) or isinstance(end.__context__, BrokenPipeError)


def _end(words: str) -> None:
    sys.stderr.write(f"prune-tui: {words}\n")
    sys.exit(BAD_INPUT)
