"""CIFAR-100."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.data.cifar import read_batches
from engine.data.dataset import Dataset
from engine.data.published import NATIVE, Parts, published
from engine.registry import register


@register("data", "cifar100")
@dataclass(frozen=True)
class Cifar100:
    """Photographs in a hundred (fine) classes, 32x32x3 in [0, 1]: 45,000 train, 5,000 validate, 10,000 test."""

    limit: int | None = None
    standardize: bool = False
    flip: bool = False
    shift: int = 0

    def load(self) -> Dataset:
        """The arrays."""
        return published(self, "cifar100", native=_native, classes=100)


def _native(folder: Path) -> Parts | None:
    return read_batches(folder, name=NATIVE["cifar100"], train=("train",), test="test", label="fine_labels")
