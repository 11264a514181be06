"""Mixed precision: arithmetic in 16 bits, variables in 32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def precision(*, mixed: bool) -> Iterator[None]:
    """Layers that are built in here compute in float16 where `mixed`; a model from a file keeps its own policies."""
    if not mixed:
        yield
        return
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
