"""Fashion-MNIST."""

from __future__ import annotations

from dataclasses import dataclass

from engine.data.dataset import Dataset
from engine.data.published import NATIVE, published, read_idx
from engine.registry import register

NAMES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


@register("data", "fashion_mnist")
@dataclass(frozen=True)
class FashionMnist:
    """Clothes in grey, 28x28x1 in [0, 1]: 55,000 to train, 5,000 to validate, 10,000 to test."""

    limit: int | None = None
    standardize: bool = False
    flip: bool = False
    shift: int = 0

    def load(self) -> Dataset:
        """The arrays."""
        return published(
            self,
            "fashion_mnist",
            native=lambda folder: read_idx(folder / NATIVE["fashion_mnist"]),
            classes=10,
            class_names=NAMES,
        )
