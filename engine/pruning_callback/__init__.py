"""Pruning inside a `model.fit` of one's own: `engine.Pruning`."""

from __future__ import annotations

from engine.pruning_callback.callback import Event, Pruning

__all__ = ["Event", "Pruning"]
