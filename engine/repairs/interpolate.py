"""Interpolation as a repair: its parameters. The mathematics and the folding are `engine.interpolation`."""

from __future__ import annotations

from dataclasses import dataclass

from engine.registry import register


@register("repair", "interpolate")
@dataclass(frozen=True)
class Interpolate:
    """Removed units as mixtures of the kept ones, fitted on `samples` unlabelled inputs."""

    samples: int = 1000
