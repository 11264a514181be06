"""Gradual pruning along a power of the time that is left."""

from __future__ import annotations

from dataclasses import dataclass

from engine.registry import register
from engine.schedules.base import moment


@register("schedule", "cubic")
@dataclass(frozen=True)
class Cubic:
    """`s_t = s_f + (s_i - s_f) (1 - (t - t0) / (t1 - t0))^power` (Zhu & Gupta 2017, eq. 1).

    Attributes:
        initial: s_i, the sparsity of the first update.
        final: s_f, or None for the target.
        begin, end: t0 and t1, as shares of training (decimals up to 1.0) or steps.
        power: 3 in the paper.
        frequency: steps between two updates. The last update is at t1, whatever the frequency.
    """

    initial: float = 0.0
    final: float | None = None
    begin: float = 0.0
    end: float = 0.75
    power: float = 3.0
    frequency: int = 100

    def events(self, total_steps: int) -> tuple[int, ...]:
        """t0, t0 + frequency, ..., and t1."""
        first, last = self.span(total_steps)
        return (*range(first, last, self.frequency), last)

    def sparsity(self, step: int, total_steps: int | None, final: float) -> float:
        """The formula at this step; s_i before t0, s_f after t1."""
        first, last = self.span(total_steps)
        end = final if self.final is None else self.final
        if step >= last:
            return end
        if step <= first:  # also where t0 = t1
            return self.initial
        left = 1.0 - (step - first) / (last - first)
        return float(end + (self.initial - end) * left**self.power)

    def span(self, total_steps: int | None) -> tuple[int, int]:
        """t0 and t1 as steps, t1 at least t0."""
        first = moment(self.begin, total_steps)
        return first, max(first, moment(self.end, total_steps))
