"""Why unit criteria rank as they do: each criterion's order beside what a unit's removal costs by itself.

    python tests/benchmarks/unit_ranks.py
    PRUNE_TUI_DATA=... python tests/benchmarks/unit_ranks.py --data mnist --limit 10000 --epochs 5
    python tests/benchmarks/unit_ranks.py --data folder --folder PATH --limit 6000 --epochs 8

For each convolution of the BN-CNN, over its units: Spearman's rank correlation of every criterion with the rise of the
loss on 2,000 held-out inputs when that unit alone is silenced (gamma and beta 0); of the kernels' L2 norms with those
before training; and how many units fire on an input of zeros, among all and among the half that a criterion keeps.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np
from unit_table import CRITERIA, dense_model, probabilities

Array = np.ndarray[Any, Any]


def costs(model: Any, norm: Any, x: Array, y: Array) -> Array:
    """By unit, what the loss rises by when it alone is silent."""
    import keras
    import tensorflow as tf

    @tf.function
    def loss() -> Any:
        found = model(x, training=False)
        return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, found, not probabilities(model)))

    gamma, beta, base = norm.gamma.numpy(), norm.beta.numpy(), float(loss())
    rises = []
    for unit in range(len(gamma)):
        alone = np.arange(len(gamma)) != unit
        norm.gamma.assign(gamma * alone)
        norm.beta.assign(beta * alone)
        rises.append(float(loss()) - base)
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)
    return np.asarray(rises)


def norms(model: Any, layer: str) -> Array:
    """The L2 norms of the kernel's columns."""
    kernel = model.get_layer(layer).kernel.numpy()
    return np.asarray(np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), axis=0))


def deviations(model: Any, layer: str, x: Array) -> Array:
    """By unit, how much its activation varies over samples and positions."""
    import keras

    made = keras.Model(model.input, model.get_layer(layer).output)(x, training=False).numpy()
    return np.asarray(made.reshape(-1, made.shape[-1]).astype(np.float64).std(axis=0))


def on_black(model: Any, layer: str, x: Array) -> Array:
    """By unit, whether it fires in the middle of an input of zeros."""
    import keras

    made = keras.Model(model.input, model.get_layer(layer).output)(np.zeros_like(x[:1]), training=False).numpy()
    return np.asarray(made[0, made.shape[1] // 2, made.shape[2] // 2] > 0)


def main() -> None:
    """Trains one network a seed, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--folder", help="the image folder, for --data folder")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.model, given.batch_size, given.learning_rate, given.recalibrated = "cnn", 128, 1e-3, False

    import keras
    from scipy.stats import spearmanr

    import engine
    from engine.data import load
    from engine.models import build

    kind = {"folder": given.folder, "limit": given.limit}
    data = load(given.data, **{key: value for key, value in kind.items() if value is not None})
    keras.utils.set_random_seed(given.seed)
    initial = build(given.model, data.input_shape, data.classes, seed=given.seed)
    model = dense_model(given, data, given.seed)
    x, y = data.x_val[:2000], data.y_val[:2000]
    sample = data.x_train[:1000], data.y_train[:1000]
    scores = {name: engine.score_units(model, name, sample) for name in CRITERIA if name != "random"}
    for number in (1, 2):
        layer = f"conv_{number}"
        cost = costs(model, model.get_layer(f"norm_{number}"), x, y)
        gamma = model.get_layer(f"norm_{number}").gamma.numpy()
        fires = on_black(model, f"activation_{number}", x)
        print(f"\n{layer}, {len(cost)} units; one costs {np.median(cost):.4f} (median), {cost.max():.4f} (most)")
        same = spearmanr(norms(model, layer), norms(initial, layer))[0]
        print(f"  L2 norms against those before training: {same:.2f}")
        print(f"  gamma: deviation / mean {gamma.std() / gamma.mean():.3f}")
        for name, found in scores.items():
            kept = np.argsort(-found[layer])[: len(cost) // 2]
            black = f"{fires[kept].mean():.0%} of the half kept fire on zeros"
            print(f"  {name:14} {spearmanr(found[layer], cost)[0]:5.2f}; {black}")
        spread = deviations(model, f"activation_{number}", sample[0])
        print(
            f"  (deviation of the activation {spearmanr(spread, cost)[0]:.2f}; {fires.mean():.0%} of all fire on zeros)"
        )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
