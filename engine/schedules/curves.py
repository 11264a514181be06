"""A schedule as a function from a step to a sparsity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine import catalog, registry
from engine.errors import PruneError
from engine.schedules.at_init import AtInit
from engine.schedules.base import Schedule
from engine.schedules.cubic import Cubic
from engine.schedules.drop_grow import DropGrow
from engine.schedules.iterative import Iterative


@dataclass(frozen=True)
class Curve:
    """A schedule with its length and target: call it with a step.

    Attributes:
        schedule: the part of the sentence.
        final: the target.
        total_steps: how long training is, or None where every time is given in steps.
    """

    schedule: Any
    final: float
    total_steps: int | None = None

    def __call__(self, step: int) -> float:
        """The sparsity at this step."""
        constant = isinstance(self.schedule, AtInit | DropGrow)
        total = self.total_steps if self.total_steps is not None or constant else self._unknown()
        return float(self.schedule.sparsity(step, total, self.final))

    def events(self) -> tuple[int, ...]:
        """The steps at which masks are set."""
        total = self.total_steps if self.total_steps is not None else self._unknown()
        found: tuple[int, ...] = self.schedule.events(total)
        return found

    def _unknown(self) -> int | None:
        if isinstance(self.schedule, Cubic | Iterative):
            return None
        raise PruneError("how long training is was not said", todo="Give total_steps")


def schedule(name: str, *, final: float = 1.0, total_steps: int | None = None, **params: Any) -> Curve:
    """A schedule as a callable from step to sparsity.

    Example:
        >>> curve = schedule("cubic", final=0.9, begin=0, end=1000)
        >>> curve(1000)
        0.9

    Args:
        name: `cubic`, `one_shot`, `at_init`, `iterative` (a step is a round), `drop_grow`.
        final: the target sparsity.
        total_steps: how long training is; needed where a time is a share of training.
        **params: the schedule's own, e.g. `initial`, `begin`, `end`, `power`, `frequency`.

    Raises:
        PruneError: a name is unknown, or a time is a share and `total_steps` was not given.
    """
    entry = catalog.get("schedule", name)
    made = registry.make("schedule", name, params | ({"final": final} if entry.param("final") else {}))
    if not isinstance(made, Schedule):
        raise PruneError(f"schedule {name} follows the network, not the steps", todo="Use it in a recipe")
    curve = Curve(made, final, total_steps)
    if name == "cubic":
        curve(0)  # a share without a length is told here, not at the first step
    return curve
