"""Work beside the painting, in one place."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from textual.dom import DOMNode


def begin(node: DOMNode, act: Callable[[], Coroutine[Any, Any, None]], *, group: str, exclusive: bool = False) -> None:
    """Starts a coroutine function as a worker of a node; it ends with the node.

    It takes the function, not its coroutine: one that is made while the app closes would never be awaited.
    """
    node.run_worker(act, group=group, exclusive=exclusive)  # type: ignore[arg-type]  # Textual's union defeats inference
