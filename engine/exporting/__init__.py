"""Artefacts that are really small or fast."""
