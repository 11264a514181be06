"""Choosing over 25 million scores, exactly, beside `numpy.partition` on the same array. Asked: at most 0.5 of its time.

Run: python tests/benchmarks/choose.py [millions] [repeats]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

import engine
from engine.scopes.selecting import keep_highest


def main(millions: float = 25, repeats: int = 7) -> None:
    """Prints medians and their ratio; the two take turns, so that a busy machine hits both alike."""
    total = int(millions * 1e6)
    scores = np.abs(np.random.default_rng(0).normal(size=total).astype(np.float32))
    layers = {f"layer_{i}/kernel": part for i, part in enumerate(np.array_split(scores, 53))}
    print(f"{total:,} float32 scores, {repeats} repeats, median (min) in ms")
    print(f"{'sparsity':>8} {'partition':>18} {'keep_highest':>18} {'choose, 53 layers':>18} {'ratio':>6} {'ratio':>6}")
    for sparsity in (0.5, 0.9, 0.99):
        cut = int(sparsity * total)
        times: dict[str, list[float]] = {"partition": [], "keep": [], "choose": []}
        for _ in range(repeats):
            times["partition"].append(clock(partial(np.partition, scores, cut)))
            times["keep"].append(clock(partial(keep_highest, [scores], total - cut)))
            times["choose"].append(clock(partial(engine.choose, layers, sparsity)))
        masks = engine.choose(layers, sparsity)
        assert sum(int(m.sum()) for m in masks.values()) == total - cut
        middle = {k: statistics.median(v) for k, v in times.items()}
        cells = " ".join(f"{f'{middle[k]:.0f} ({min(v):.0f})':>18}" for k, v in times.items())
        ratios = " ".join(f"{middle[k] / middle['partition']:>6.2f}" for k in ("keep", "choose"))
        print(f"{sparsity:>8} {cells} {ratios}")


def clock(call: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main(*(float(a) for a in sys.argv[1:2]), *(int(a) for a in sys.argv[2:3]))
