"""Iterative pruning in rounds, with or without rewinding: lottery tickets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from engine.layout import Array
from engine.registry import register
from engine.schedules.base import moment
from engine.scopes.selecting import exact


@register("schedule", "iterative")
@dataclass(frozen=True)
class Iterative:
    """Train, cut a share of what is left, rewind, again (Frankle & Carbin 2019). A round is a training of its own.

    Attributes:
        share: of what is left, cut each round.
        output_share: the same for the last kernel, which makes the output (0.1 in the paper's layer-wise rounds); the
            target then holds for the others. None: as the others.
        rounds: rounds to the target in equal ratios; None: as many as the share needs.
        rewind: `init` (theta_0), `early` (theta_k), or `none`.
        rewind_to: k, as a share of a round's training (a decimal up to 1.0) or a step.
        epochs: of a round's training; None: the recipe's.
        control: `shuffle` the mask inside each layer, `reinitialise` the weights under it, or `none`.
    """

    share: float = 0.2
    output_share: float | None = None
    rounds: int | None = None
    rewind: str = "init"
    rewind_to: float = 0.05
    epochs: int | None = None
    control: str = "none"

    def events(self, total_steps: int) -> tuple[int, ...]:
        """The end of a round's training."""
        return (total_steps,)

    def sparsity(self, step: int, total_steps: int | None, final: float) -> float:
        """The sparsity after `step` rounds (0: none yet), the target at most."""
        if step <= 0:
            return 0.0
        if self.rounds is not None:
            return final if step >= self.rounds or final >= 1 else 1.0 - (1.0 - final) ** (step / self.rounds)
        return min(final, round(1.0 - (1.0 - self.share) ** step, 13))

    def count(self, final: float) -> int:
        """How many rounds it takes to a target: as many as are given or as the share needs; none to a target of 0."""
        if final <= 0:
            return 0
        if self.rounds is not None:
            return self.rounds
        # With a target of 1 a share of what is left never gets there; it is cut at once when 0.1 % is left.
        left = max(1 - final, 0.001)
        return max(1, math.ceil(math.log(left) / math.log(1 - self.share) - 1e-9))

    def plan(self, final: float) -> tuple[float, ...]:
        """The sparsity after each round, to the nearest weight; the last is the target."""
        count = self.count(final)
        steps = [self.sparsity(r, None, final) for r in range(1, count)]
        return (*steps, final) if count else ()

    def cut(self, total: int, left: int) -> Fraction:
        """The exact sparsity after one more round, `n = ceil(share * left)`, for `choose`."""
        return Fraction(total - left + math.ceil(exact(self.share) * left), total)

    def after(self, index: int, final: float, *, total: int, left: int) -> Fraction:
        """The exact sparsity to ask for in a round: `cut`, or the next of equal ratios; in the last one the target.

        Args:
            index: of the round, from 0.
            final: the target.
            total: how many weights the target is a share of (those of skipped layers are not).
            left: how many of them are still there.
        """
        if index + 1 >= self.count(final) or not total:
            return exact(final)
        if self.rounds is not None:
            return exact(round(self.sparsity(index + 1, None, final), 13))
        return min(self.cut(total, left), exact(final))

    def output(self, key: str, masks: Mapping[str, Array], size: int) -> dict[str, Fraction]:
        """The output kernel's own sparsity in the next round, as `per_layer` of `choose`; empty where it has none.

        Args:
            key: of the last kernel.
            masks: what is kept now; a kernel without one is whole.
            size: of this kernel.
        """
        if self.output_share is None:
            return {}
        left = int(masks[key].sum()) if key in masks else size
        return {key: Fraction(size - left + math.ceil(exact(self.output_share) * left), size)}

    def early(self, total_steps: int) -> int:
        """The step to which weights are rewound."""
        return moment(self.rewind_to, total_steps) if self.rewind == "early" else 0
