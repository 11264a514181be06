"""From which sparsity on sparse kernels beat dense ones: found by measuring, one layer of 1024 x 1024.

SciPy's CSR against NumPy, TensorFlow's sparse matrices against TensorFlow, LiteRT's sparse encoding against LiteRT
(single weights, and blocks of 4 along the inputs).

    python tests/benchmarks/crossover.py [--size 1024] [--batch-sizes 1 32] [--repeats 15]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
PAIRS = [
    ("scipy", "numpy", 1),
    ("tensorflow_sparse", "tensorflow", 1),
    ("litert_sparse", "litert", 1),
    ("litert_sparse", "litert", 4),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--repeats", type=int, default=15)
    asked = parser.parse_args()

    import keras

    from engine.measurement import crossover
    from engine.measurement.measuring import device_name, threads
    from engine.measurement.searching import SPARSITIES

    model = keras.Sequential([keras.Input((asked.size,)), keras.layers.Dense(asked.size)])
    print(f"{device_name()}, {threads()} threads; {asked.size} x {asked.size}; speed-up over the dense runtime\n")
    print("| runtime | against | block | batch | " + " | ".join(f"{s:.0%}" for s in SPARSITIES) + " | wins from |")
    print("|---" * (5 + len(SPARSITIES)) + "|")
    for runtime, against, block in PAIRS:
        for batch in asked.batch_sizes:
            found = crossover(model, runtime, against=against, block=block, batch_size=batch, repeats=asked.repeats)
            points = " | ".join(f"{ratio:.2f}" for _, ratio in found.points)
            wins = "never" if found.sparsity is None else f"{found.sparsity:.0%}"
            print(f"| {runtime} | {against} | {block}x1 | {batch} | {points} | {wins} |", flush=True)


if __name__ == "__main__":
    main()
