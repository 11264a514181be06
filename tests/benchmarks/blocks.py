"""What blocks gain in LiteRT where single weights gain nothing, and what a sparse 1x1 convolution gains: file and time.

784-1024-1024-1024-10, float32, one row, one thread: single weights and blocks of 4 along the inputs, stored densely and
with sparse encoding. Then a network of 1x1 and depthwise convolutions, as XNNPACK's documentation wants it for sparse
inference (a first 3x3 convolution of stride 2 on three channels, a pixel of padding on each side: 97 pixels, odd).

    python tests/benchmarks/blocks.py [--sparsities 0.5 0.7 0.8 0.9 0.95] [--repeats 30]
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def network(kind):
    import keras

    L = keras.layers
    if kind == "mlp":
        hidden = [L.Dense(1024, activation="relu") for _ in range(3)]
        return keras.Sequential([keras.Input((784,)), *hidden, L.Dense(10)])
    x = inputs = keras.Input((97, 97, 3))
    x = L.ReLU(6.0)(L.Conv2D(32, 3, strides=2, padding="same")(x))
    for _ in range(5):
        x = L.ReLU(6.0)(L.DepthwiseConv2D(3, padding="same")(x))
        x = L.ReLU(6.0)(L.Conv2D(128, 1)(x))
    return keras.Model(inputs, L.Dense(10)(L.GlobalAveragePooling2D()(x)))


def pruned(model, sparsity, block):
    import keras

    from engine.layout import kernels
    from engine.measurement.cutting import cut

    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for kernel in list(kernels(copy).values())[:-1]:
        if len(kernel.shape) == 2 or tuple(kernel.shape[:2]) == (1, 1):
            kernel.variable.assign(cut(kernel.variable.numpy(), sparsity, block=block))
    return copy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sparsities", nargs="+", type=float, default=[0.5, 0.7, 0.8, 0.9, 0.95])
    parser.add_argument("--repeats", type=int, default=30)
    asked = parser.parse_args()

    from engine.exporting import litert
    from engine.measurement.measuring import device_name, example_inputs
    from engine.measurement.timing import interleaved

    print(f"{device_name()}, {litert.interpreter_name()}, one thread, one row\n")
    print(
        "| network | zeros | sparsity | MB dense | MB sparse encoding | ms dense | ms sparse encoding | times as fast |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for kind, blocks in (("mlp", (1, 4)), ("1x1 convolutions", (1,))):
        model = network(kind)
        x = example_inputs(model, None, 1)
        dense = litert.convert(model)
        run_dense = litert.runner(dense)
        for block in blocks:
            for sparsity in asked.sparsities:
                sparse = litert.convert(pruned(model, sparsity, block), sparse=True)
                run_sparse = litert.runner(sparse)
                calls = {"dense": functools.partial(run_dense, x), "sparse": functools.partial(run_sparse, x)}
                best = {k: min(v) * 1e3 for k, v in interleaved(calls, repeats=asked.repeats, seconds=1.0).items()}
                print(
                    f"| {kind} | {block}x1 | {sparsity:.0%} | {len(dense) / 1e6:.2f} | {len(sparse) / 1e6:.2f} | "
                    f"{best['dense']:.3f} | {best['sparse']:.3f} | {best['dense'] / best['sparse']:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
