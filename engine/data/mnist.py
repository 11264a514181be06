"""MNIST."""

from __future__ import annotations

from dataclasses import dataclass

from engine.data.dataset import Dataset
from engine.data.published import NATIVE, published, read_idx
from engine.registry import register


@register("data", "mnist")
@dataclass(frozen=True)
class Mnist:
    """Handwritten digits, 28x28x1 in [0, 1]: 55,000 to train, 5,000 to validate, 10,000 to test."""

    limit: int | None = None
    standardize: bool = False
    flip: bool = False
    shift: int = 0

    def load(self) -> Dataset:
        """The arrays."""
        names = tuple("0123456789")
        return published(
            self, "mnist", native=lambda folder: read_idx(folder / NATIVE["mnist"]), classes=10, class_names=names
        )
