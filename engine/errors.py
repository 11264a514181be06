"""Every error that a user can meet: what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PruneError(Exception):
    """An error for people: one clear sentence, never shown as a traceback.

    Attributes:
        what: what is wrong, as a sentence without its full stop.
        where: the place (a file:line:column, a recipe key, a layer), or "".
        todo: what to do next, or "".
    """

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what, self.where, self.todo = what, where, todo
        super().__init__(f"{where + ': ' if where else ''}{what}{'. ' + todo if todo else ''}")


class RecipeError(PruneError):
    """A recipe (or an override of it) cannot be used; `problems` holds every one found, not only the first."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class UnknownName(PruneError):
    """A name that the catalog does not hold."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "") -> None:
        known = sorted(known)
        self.kind, self.name, self.near = kind, name, near(name, known)
        others = f"Known: {_few(known)}" if known else "There is none yet."
        todo = f"Did you mean {' or '.join(self.near)}?" if self.near else others
        super().__init__(f"there is no {kind} named {name!r}", where=where, todo=todo)


class DataError(PruneError):
    """Data could not be found, read or understood."""


class ModelError(PruneError):
    """A model could not be loaded, built or handled at all."""


class RunnerError(PruneError):
    """The background worker could not be started, reached or understood."""


def _few(names: list[str], most: int = 24) -> str:
    """A list for a sentence: of very many (runs, layers) only some."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def near(name: str, known: Iterable[str]) -> list[str]:
    """The known names that look like `name`, best first, at most three."""
    folded = {k.lower(): k for k in known}
    return [folded[m] for m in difflib.get_close_matches(str(name).lower(), folded, n=3, cutoff=0.6)]
