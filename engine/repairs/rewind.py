"""Rewinding: what is left returns to its value at initialisation or soon after (methods.md §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import ModelError
from engine.keys import variable_keys
from engine.registry import register

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]


@register("repair", "rewind")
@dataclass(frozen=True)
class Rewind:
    """Back to the state after `step` optimizer steps; 0 is the initialisation."""

    step: int = 0


def state_of(model: keras.Model) -> dict[str, Array]:
    """A copy of every variable's value by key, to rewind to later."""
    return {key: np.array(variable.numpy()) for key, variable in variable_keys(model).items()}


def rewind_to(model: keras.Model, state: Mapping[str, Array]) -> None:
    """Puts every variable back: `theta <- theta_k`, biases and BatchNorm too; the masks are for the caller to reapply.

    Args:
        model: a built model; changed in place.
        state: values by variable key, as `state_of` gave them.

    Raises:
        ModelError: the state is not of this model (a key is missing or has another shape).
    """
    variables = variable_keys(model)
    for key, variable in variables.items():
        value = state.get(key)
        if value is None or tuple(value.shape) != tuple(variable.shape):
            found = "is missing" if value is None else f"has shape {tuple(value.shape)}, not {tuple(variable.shape)}"
            raise ModelError(
                f"the state to rewind to does not fit: {key} {found}", todo="Take it from this model before it shrinks"
            )
    for key, variable in variables.items():
        variable.assign(state[key])
