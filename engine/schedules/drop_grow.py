"""Drop and grow: sparse from the first step to the last, and moving (SET, RigL)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from engine.layout import Array
from engine.registry import register
from engine.schedules.base import moment
from engine.scopes.selecting import keep_highest


@register("schedule", "drop_grow")
@dataclass(frozen=True)
class DropGrow:
    """Every `frequency` steps, `k = a/2 (1 + cos(pi t / T_end)) * active` weights of each layer move.

    Evci et al. 2020 (RigL: the largest |gradient| grow); Mocanu et al. 2018 (SET: random ones grow).

    Attributes:
        grow: `gradient` or `random`.
        share: a.
        frequency: steps between two moves.
        end: T_end, as a share of training (a decimal up to 1.0) or a step.
    """

    grow: str = "gradient"
    share: float = 0.3
    frequency: int = 100
    end: float = 0.75

    def events(self, total_steps: int) -> tuple[int, ...]:
        """0, where the first masks are set, then every move before T_end."""
        return tuple(range(0, max(1, moment(self.end, total_steps)), self.frequency))

    def sparsity(self, step: int, total_steps: int, final: float) -> float:
        """The target, always."""
        return final

    def moving(self, step: int, total_steps: int) -> float:
        """The share of the active weights that moves at this step."""
        end = moment(self.end, total_steps)
        return 0.0 if step >= end else self.share / 2 * (1 + math.cos(math.pi * step / end))


class Moved(NamedTuple):
    """What a move did to one kernel.

    Attributes:
        mask: True = active from now on; as many as before.
        grown: True where a weight is new: it starts at 0 and its optimizer slots are reset. A weight that was dropped
            and grown in the same move keeps its value, as in the authors' code.
    """

    mask: Array
    grown: Array


def move(weights: Array, mask: Array, growth: Array, share: float) -> Moved:
    """Drops the `k = floor(share * active)` smallest |w| and grows the k highest `growth` among the inactive.

    What is active is read from the mask, never from `w != 0`. A weight just dropped may grow again.

    Args:
        weights: the kernel.
        mask: True = active.
        growth: |gradient| of the dense kernel (RigL), or random numbers (SET).
        share: `DropGrow.moving`.
    """
    mask = np.asarray(mask, dtype=bool)
    active = int(np.count_nonzero(mask))
    count = min(math.floor(Fraction(str(share)) * active), active)
    [kept] = keep_highest([np.where(mask, np.abs(weights), -np.inf)], active - count)
    [more] = keep_highest([np.where(kept, -np.inf, growth)], count)
    moved = kept | more
    return Moved(moved, moved & ~mask)
