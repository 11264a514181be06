"""What the training loop asks a schedule."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from engine.errors import PruneError


@runtime_checkable
class Schedule(Protocol):
    """At which steps masks are set anew, and to which sparsity.

    A step is the number of optimizer updates done: an event at 0 comes before the first update, one at `total_steps`
    after the last.
    """

    def events(self, total_steps: int) -> tuple[int, ...]:
        """The steps, in rising order, at which masks are set."""

    def sparsity(self, step: int, total_steps: int, final: float) -> float:
        """The sparsity of the masks set at this step, when the target is `final`."""


def moment(time: float, total_steps: int | None) -> int:
    """A point of training as a step: a decimal up to 1.0 is a share of training, anything else is a step.

    Raises:
        PruneError: it is a share and the length of training is not known, or it is no step.
    """
    if isinstance(time, float) and 0 < time <= 1:
        if total_steps is None:
            raise PruneError(
                f"{time} is a share of training, and how long that is was not said",
                todo="Give total_steps, or the time in steps as a whole number",
            )
        return round(time * total_steps)
    if time < 0 or time != int(time):
        raise PruneError(f"{time} is neither a share of training (0.0 to 1.0) nor a step")
    return int(time) if total_steps is None else min(int(time), total_steps)
