"""Random: the control."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from engine.criteria.context import Array, Arrays, Context
from engine.criteria.unit_context import UnitContext
from engine.registry import register


@register("criterion", "random")
@dataclass(frozen=True)
class Random:
    """`S(w) ~ U(0, 1)`, a stream of its own for each kernel, so that neither order nor company matters."""

    def score(self, context: Context) -> Arrays:
        """Uniform draws that depend on the context's seed and the kernel's key only."""
        return {key: uniform(context.seed, key, kernel.shape) for key, kernel in context.kernels.items()}

    def units(self, context: UnitContext) -> Arrays:
        """One draw a group of coupled units, so that large groups are favoured no more than small ones."""
        return {key: uniform(context.seed, key, (context.kernels[key].units,)) for key in context.leaders()}


def uniform(seed: int, key: str, shape: tuple[int, ...]) -> Array:
    """Uniform numbers in [0, 1) from `(seed, key)`, the same on every machine and in every order."""
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big")).random(shape)
