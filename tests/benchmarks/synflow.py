"""SynFlow's 100 iterations on ResNet-20: traced once, then scored and chosen anew a hundred times.

Run: python tests/benchmarks/synflow.py [density]
"""

from __future__ import annotations

import sys
import time
from typing import Any

import keras

from engine.scoring.context import context
from engine.scoring.pruning import collapsed, find_masks

L = keras.layers


def main(density: float = 0.01) -> None:
    """Prints the time of the first iteration (with tracing), of the others, and of all."""
    keras.utils.set_random_seed(0)
    model = resnet20()
    start = time.perf_counter()
    ends: list[float] = []
    masks = find_masks(context(model), "synflow", 1 - density, on_step=lambda *_: ends.append(time.perf_counter()))
    kept = sum(int(m.sum()) for m in masks.values())
    print(f"ResNet-20, {model.count_params():,} parameters, density {density:g}: {kept:,} weights stay")
    print(f"layers that are empty: {', '.join(collapsed(masks)) or 'none'}")
    each = 1000 * (ends[-1] - ends[0]) / (len(ends) - 1)
    print(f"first iteration {ends[0] - start:.2f} s, each other {each:.1f} ms, all {ends[-1] - start:.2f} s")


def resnet20() -> keras.Model:
    """He et al. 2016 for 32x32 images, with 1x1 convolutions on the shortcuts."""

    def block(x: Any, filters: int, stride: int = 1) -> Any:
        return L.BatchNormalization()(L.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x))

    inputs = keras.Input((32, 32, 3))
    x = L.ReLU()(block(inputs, 16))
    for stage, filters in enumerate((16, 32, 64)):
        for index in range(3):
            stride = 2 if stage and not index else 1
            y = block(L.ReLU()(block(x, filters, stride)), filters)
            if stride == 2:
                x = L.BatchNormalization()(L.Conv2D(filters, 1, 2, use_bias=False)(x))
            x = L.ReLU()(L.Add()([x, y]))
    return keras.Model(inputs, L.Dense(10, activation="softmax")(L.GlobalAveragePooling2D()(x)))


if __name__ == "__main__":
    main(*(float(a) for a in sys.argv[1:2]))
