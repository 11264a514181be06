"""Which step a `fit` of somebody else's is at, and what is due there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from engine.errors import PruneError


@dataclasses.dataclass
class Clock:
    """Counts optimizer steps over one `fit` or several.

    Attributes:
        pending: the steps at which something is still to be done, in rising order.
        total: how many steps training has, if that is known.
        per_epoch: steps an epoch, if that is known.
        step: steps done.
    """

    pending: list[int]
    total: int | None
    per_epoch: int | None
    step: int = 0
    _epoch: int = 0
    _iterations: int = 0
    _fresh: bool = True

    def begin(self, per_epoch: int | None, iterations: int) -> None:
        """A `fit` begins."""
        self.per_epoch, self._iterations, self._fresh = per_epoch, iterations - self.step, True

    def epoch(self, number: int) -> None:
        """An epoch begins; the first one of all may be a later one (`initial_epoch`)."""
        if self._fresh and self.step == 0 and number and self.per_epoch:
            self.step = number * self.per_epoch
            self._iterations -= self.step
        self._fresh, self._epoch = False, self.step

    def batch(self, number: int) -> None:
        """The batches up to this one of the epoch are done. (The last execution may be cut short.)"""
        done = number + 1 if self.per_epoch is None else min(number + 1, self.per_epoch)
        self.step = self._epoch + done

    def epoch_done(self, iterations: int) -> None:
        """An epoch is done; where its length was not known, the optimizer's count tells."""
        if self.per_epoch is None:
            self.step = iterations - self._iterations

    def rewound(self, iterations: int) -> None:
        """The optimizer's count was set back."""
        self._iterations = iterations - self.step

    def due(self) -> list[int]:
        """Takes out what is due now."""
        now = [step for step in self.pending if step <= self.step]
        del self.pending[: len(now)]
        return now


def late(events: Sequence[int], *, per_execution: int, per_epoch: int | None) -> int:
    """By how many steps an event is late, at most: executions end at multiples in each epoch, and at its end."""
    if per_execution == 1:
        return 0
    worst = 0
    for event in events:
        inside = event % per_epoch if per_epoch else event
        wait = -inside % per_execution
        worst = max(worst, min(wait, per_epoch - inside) if per_epoch and inside else wait)
    return worst


def check_rounds(rounds: int, length: int, total: int) -> None:
    """Refuses rounds that this training has no room for.

    Raises:
        PruneError: with what would do.
    """
    if length < 1 or rounds * length >= total:
        raise PruneError(
            f"{rounds} rounds of {max(length, 1)} steps and a last training do not fit into {total} steps",
            todo="Train for more epochs, or choose fewer rounds (a larger share)",
        )
