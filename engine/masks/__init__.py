"""Masks on live variables: exact zeros through any training of any Keras model."""

from __future__ import annotations

from engine.masks.attached import Masks, attach

__all__ = ["Masks", "attach"]
