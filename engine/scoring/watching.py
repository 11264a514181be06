"""What flows into and out of layers, seen while a graph is traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class Watch:
    """Records the inputs and outputs of one layer, once a call (a shared layer has several). Used as a hook of `call`.

    Attributes:
        inputs: tensors of the graph that is being traced; the first argument of each call.
        outputs: what each call gave.
        inside: True when a call was seen inside a loop, whose tensors cannot leave it.
    """

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.inside = False
        self._graph = tf.compat.v1.get_default_graph()

    def __call__(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The layer's own answer, noted."""
        answer = original(*args, **kwargs)
        given, made = _tensor(args[0] if args else next(iter(kwargs.values()), None)), _tensor(answer)
        if tf.compat.v1.get_default_graph() is not self._graph:
            self.inside = True
        elif given is not None and made is not None:
            self.inputs.append(given)
            self.outputs.append(made)
        return answer


def _tensor(value: Any) -> Any:
    first = value[0] if isinstance(value, list | tuple) and value else value
    return first if tf.is_tensor(first) else None
