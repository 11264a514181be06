"""What all scopes share: pieces to choose from, layers that are skipped, layers with a sparsity of their own."""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from engine.errors import PruneError, near
from engine.layout import LAST, Array, Layout
from engine.scopes.selecting import exact


@dataclass(frozen=True)
class Pieces:
    """The pooled scores of one kernel.

    Attributes:
        scores: one score a piece, higher stays.
        shape: the kernel's shape.
        layout: how the axes of `scores` are to be read, where it has a kernel's axes.
    """

    scores: Array
    shape: tuple[int, ...]
    layout: Layout = LAST


@dataclass(frozen=True)
class Scope(ABC):
    """Chooses pieces across kernels.

    Attributes:
        skip: name patterns of kernels that stay whole and are not counted.
        per_layer: sparsity of single kernels by name pattern, the first that fits; the target holds for the others.
    """

    skip: Sequence[str] = ()
    per_layer: Mapping[str, float] = field(default_factory=dict)

    def keep(self, pieces: Mapping[str, Pieces], sparsity: float | Fraction) -> dict[str, Array]:
        """Which pieces stay: bool arrays like the scores.

        The order of the mapping does not matter: ties between kernels are broken in the order of their keys.

        Raises:
            PruneError: a pattern fits no kernel, or a sparsity is not from 0 to 1.
        """
        keys = sorted(pieces)
        own = self.overrides(keys)
        chosen: dict[str, Array] = {}
        for key, share in own.items():
            if share is None:
                chosen[key] = np.ones(pieces[key].scores.shape, dtype=bool)
            else:
                chosen |= self.select({key: pieces[key]}, share)
        rest = {k: pieces[k] for k in keys if k not in own}
        if rest:
            chosen |= self.select(rest, exact(sparsity))
        return {k: chosen[k] for k in pieces}

    @abstractmethod
    def select(self, pieces: Mapping[str, Pieces], sparsity: Fraction) -> dict[str, Array]:
        """The choice itself, over pieces in the order of their keys."""

    def overrides(self, keys: Sequence[str]) -> dict[str, Fraction | None]:
        """The kernels to which the target does not apply: their own sparsity, or None for the skipped.

        Raises:
            PruneError: a pattern fits no kernel, or a sparsity is not from 0 to 1.
        """
        self._check_patterns(keys)
        found: dict[str, Fraction | None] = {}
        for key in keys:
            if any(matches(key, p) for p in self.skip):
                found[key] = None
            elif fits := [s for p, s in self.per_layer.items() if matches(key, p)]:
                found[key] = exact(fits[0])
        return found

    def _check_patterns(self, keys: Sequence[str]) -> None:
        for pattern in (*self.skip, *self.per_layer):
            if not any(matches(k, pattern) for k in keys):
                close = near(pattern, {part for k in keys for part in k.split("/")})
                todo = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(keys)}"
                raise PruneError(f"no layer is named {pattern!r}", where="scope", todo=todo)


def matches(key: str, pattern: str) -> bool:
    """Whether a pattern (`*`, `?`) fits a key or any run of its parts: `dense_1` fits `encoder/dense_1/kernel`."""
    parts = key.split("/")
    runs: Iterable[str] = ("/".join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1))
    return any(fnmatch.fnmatchcase(run, pattern) for run in runs)
