"""Every source of chance in a run comes from (seed, phase, epoch), so that any epoch can be done again alone."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


def seed_of(seed: int, *words: Any) -> int:
    """A 31-bit seed for a purpose: the same words always give the same one."""
    text = "/".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little") >> 1


def order(count: int, *, seed: int, phase: str, epoch: int) -> np.ndarray[Any, Any]:
    """The order in which an epoch sees the examples, `(count,)` int32."""
    return np.random.default_rng(seed_of(seed, "order", phase, epoch)).permutation(count).astype(np.int32)


def reseed_layers(model: Any, *, seed: int, phase: str, epoch: int) -> None:
    """Sets the seed state of every dropout and augmentation layer for an epoch.

    Keras keeps their state in variables that neither `get_weights` nor a checkpoint of the trainable weights restores.
    """
    for number, layer in enumerate(model._flatten_layers()):
        for generator in getattr(layer, "_seed_generators", ()):
            generator.state.assign(np.array([seed_of(seed, phase, epoch, number), 0], dtype=generator.state.dtype))
