"""How small a packed file is, beside the raw weights, gzip and xz of the `.keras` file, and the entropy.

LeNet-300-100, trained a little on MNIST where it is at hand (else on digits), then pruned by magnitude with one
threshold for all and trained on for an epoch, at 0, 50, 80, 90, 95 and 98 % of the kernels.

    python tests/benchmarks/packed.py [--sparsities 0.5 0.9] [--epochs 3]
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def data():
    import numpy as np

    from engine.data import load
    from engine.errors import DataError

    try:
        found = load("mnist")
    except DataError:
        found = load("digits")
    x, y = found.x_train, found.y_train
    return np.asarray(x, "float32").reshape(len(x), -1)[:20_000], np.asarray(y)[:20_000]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sparsities", nargs="+", type=float, default=[0.0, 0.5, 0.8, 0.9, 0.95, 0.98])
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()

    import keras
    import numpy as np

    import engine
    from engine.exporting.packing import save_packed

    x, y = data()
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(300, activation="relu"),
        keras.layers.Dense(100, activation="relu"),
        keras.layers.Dense(10),
    ]
    model = keras.Sequential([keras.Input((x.shape[1],)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(x, y, epochs=asked.epochs, batch_size=128, verbose=0)
    trained = model.get_weights()

    print(f"{x.shape[1]}-300-100-10, {len(x):,} training rows; sizes in bytes of whole files\n")
    print("| sparsity | raw weights | gzip of .keras | xz of .keras | packed | of xz | of the entropy | s to pack |")
    print("|---|---|---|---|---|---|---|---|")
    for sparsity in sorted(asked.sparsities):
        model.set_weights(trained)
        flat = np.concatenate([np.abs(w).ravel() for w in trained if w.ndim > 1])
        threshold = np.quantile(flat, sparsity) if sparsity else 0.0
        if sparsity:
            masks = {layer.kernel.path: np.abs(layer.kernel.numpy()) >= threshold for layer in layers}
            live = engine.attach(model, masks)
            model.compile("adam", loss)
            model.fit(x, y, epochs=1, batch_size=128, verbose=0)
            live.detach()
        with tempfile.TemporaryDirectory() as folder:
            plain = keras.models.clone_model(model)  # without the optimizer's state, which would only flatter us
            plain.set_weights(model.get_weights())
            plain.save(Path(folder) / "m.keras")
            file = (Path(folder) / "m.keras").read_bytes()
            start = time.perf_counter()
            packed = save_packed(model, Path(folder) / "m.packed")
            took = time.perf_counter() - start
            again = engine.load_packed(Path(folder) / "m.packed")
        assert all(a.tobytes() == b.tobytes() for a, b in zip(model.get_weights(), again.get_weights(), strict=True))
        raw, xz, size = sum(w.nbytes for w in trained), len(lzma.compress(file)), len(packed.content)
        print(
            f"| {sparsity:.0%} | {raw:,} | {len(gzip.compress(file)):,} | {xz:,} | {size:,} | {size / xz:.3f} | "
            f"{size / packed.ideal:.3f} | {took:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
