"""What unit pruning gains on the clock, beside what it should gain in FLOPs, in TensorFlow and LiteRT.

For an MLP, a CNN, ResNet-20 and a small MobileNet, with 25, 50, 75 and 90 % of the units removed: the FLOPs ratio and
the measured speed-up over the dense model, interleaved with it, one row a call. Weights are as initialised: speed does
not ask.

    python tests/benchmarks/runtimes.py [--models mlp cnn resnet20 mobilenet_small] [--shares 0.25 0.5] [--repeats 30]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
MODELS = {
    "mlp": ((784,), {"hidden": [1024, 1024, 1024]}),
    "cnn": ((28, 28, 1), {}),
    "resnet20": ((32, 32, 3), {}),
    "mobilenet_small": ((32, 32, 3), {}),
}


def smaller(model, share):
    """The model without that share of the units of each layer, the smallest norms first."""
    import numpy as np

    import engine
    from engine.surgery.units import norm_scores

    going = {key: list(np.argsort(s, kind="stable")[: int(share * len(s))]) for key, s in norm_scores(model).items()}
    return engine.remove_units(model, going)


def speedups(dense, small, repeats):
    from engine.measurement.contenders import RUNTIMES
    from engine.measurement.measuring import example_inputs
    from engine.measurement.timing import interleaved

    found = {}
    for name in ("tensorflow", "litert", "litert_2"):
        calls = {
            who: RUNTIMES[name](m, example_inputs(m, None, 1)).run for who, m in (("dense", dense), ("small", small))
        }
        samples = interleaved(calls, repeats=repeats, seconds=1.0)
        # Minima: what the machine can do when its neighbours are quiet.
        dense_ms, small_ms = min(samples["dense"]) * 1e3, min(samples["small"]) * 1e3
        found[name] = (dense_ms / small_ms, dense_ms, small_ms)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--shares", nargs="+", type=float, default=[0.25, 0.5, 0.75, 0.9])
    parser.add_argument("--repeats", type=int, default=30)
    asked = parser.parse_args()

    from engine.measurement.flops import count_flops
    from engine.measurement.measuring import device_name, threads
    from engine.models import build

    print(f"{device_name()}, {threads()} threads for TensorFlow, 1 and 2 for LiteRT; one row a call\n")
    print("| model | units removed | FLOPs ratio | TensorFlow | LiteRT | LiteRT, 2 threads | ms dense | ms small |")
    print("|---|---|---|---|---|---|---|---|")
    for name in asked.models:
        shape, params = MODELS[name]
        dense = build(name, shape, 10, **params)
        for share in asked.shares:
            small = smaller(dense, share)
            ratio = count_flops(dense)[0] / count_flops(small)[0]
            got = speedups(dense, small, asked.repeats)
            columns = " | ".join(f"{got[r][0]:.2f}" for r in ("tensorflow", "litert", "litert_2"))
            print(
                f"| {name} | {share:.0%} | {ratio:.2f} | {columns} | {got['litert'][1]:.3f} | {got['litert'][2]:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
