"""How a run is stopped or held from outside: asked between executions, never in the middle of one."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Cancelled(Exception):
    """The run was asked to stop; not an error."""


class Control:
    """Shared between the run (which asks) and whoever may stop it (another thread, a signal handler)."""

    def __init__(self) -> None:
        self._cancel = threading.Event()
        self._go = threading.Event()
        self._go.set()

    def cancel(self) -> None:
        """Ends the run at its next check, paused or not."""
        self._cancel.set()
        self._go.set()

    def pause(self) -> None:
        """Holds the run at its next check."""
        if not self._cancel.is_set():
            self._go.clear()

    def resume(self) -> None:
        """Lets it go on."""
        self._go.set()

    @property
    def cancelled(self) -> bool:
        """True once it was asked to stop."""
        return self._cancel.is_set()

    @property
    def paused(self) -> bool:
        """True while it is held."""
        return not self._go.is_set()

    def check(self, on_pause: Callable[[], None] | None = None) -> None:
        """Waits while paused (telling so once by `on_pause`).

        Raises:
            Cancelled: the run was asked to stop.
        """
        if self.paused and on_pause is not None:
            on_pause()
        self._go.wait()
        if self._cancel.is_set():
            raise Cancelled
