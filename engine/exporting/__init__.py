"""Artefacts that are really small or fast."""

from __future__ import annotations
