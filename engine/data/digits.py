"""The digits that come with scikit-learn: always there, no network needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.data.dataset import Dataset, finish, split
from engine.registry import register


@register("data", "digits")
@dataclass(frozen=True)
class Digits:
    """1,797 images of 8x8 pixels in [0, 1], split 1,078 / 359 / 360 once and for all."""

    limit: int | None = None
    standardize: bool = False
    flip: bool = False
    shift: int = 0

    def load(self) -> Dataset:
        """The arrays."""
        from sklearn.datasets import load_digits

        raw = load_digits()
        x = (raw.images / 16.0).astype(np.float32)[..., None]
        train, val, test = ((x[rows], raw.target[rows]) for rows in split(len(x), seed=0))
        names = tuple(str(n) for n in raw.target_names)
        return finish(
            self,
            name="digits",
            train=train,
            val=val,
            test=test,
            classes=10,
            class_names=names,
            scaling="pixels / 16",
            source="scikit-learn",
        )
