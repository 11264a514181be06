"""CIFAR-10."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.data.cifar import read_batches
from engine.data.dataset import Dataset
from engine.data.published import NATIVE, Parts, published
from engine.registry import register

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@register("data", "cifar10")
@dataclass(frozen=True)
class Cifar10:
    """Photographs, 32x32x3 in [0, 1]: 45,000 to train, 5,000 to validate, 10,000 to test."""

    limit: int | None = None
    standardize: bool = False
    flip: bool = False
    shift: int = 0

    def load(self) -> Dataset:
        """The arrays."""
        return published(self, "cifar10", native=_native, classes=10, class_names=NAMES)


def _native(folder: Path) -> Parts | None:
    train = tuple(f"data_batch_{i}" for i in range(1, 6))
    return read_batches(folder, name=NATIVE["cifar10"], train=train, test="test_batch", label="labels")
