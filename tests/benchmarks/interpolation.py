"""Interpolative decomposition: time beside a plain Cholesky route and beside pivoted QR, and peak memory.

    python tests/benchmarks/interpolation.py [--rows 10000] [--units 2048] [--repeats 5] [--memory-rows 100000]

Time is for Z (rows x units, float32) at k = units / 2, from the rows to T; the routes are interleaved and the minima
compared. Goal: at most 1.2 times the plain route. Memory: `engine.interpolate` on that many rows within 2 GiB in all.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from engine.interpolation.gathering import Gram, Triangle
from engine.interpolation.pivoting import pivots

Array = np.ndarray[Any, Any]


def plain(z: Array, k: int) -> Array:
    """The reference: one float64 Gram matrix summed by blocks, LAPACK's pivoted Cholesky, one triangular solve."""
    gram = np.zeros((z.shape[1], z.shape[1]))
    for start in range(0, len(z), 2048):
        block = z[start : start + 2048].astype(np.float64)
        gram += block.T @ block
    upper = lapack.dpstrf(gram, lower=0)[0]
    return np.asarray(linalg.solve_triangular(upper[:k, :k], upper[:k, k:], check_finite=False))


def ours(z: Array, k: int) -> Array:
    """From the rows to T."""
    sums = Gram(z.shape[1])
    for start in range(0, len(z), 256):
        sums.add(z[start : start + 256])
    return pivots(sums).mixture(sums, k)


def by_rows(z: Array, k: int) -> Array:
    """The same by TSQR."""
    sums = Triangle(z.shape[1])
    for start in range(0, len(z), 4096):
        sums.add(z[start : start + 4096])
    return pivots(sums).mixture(sums, k)


def pivoted_qr(z: Array, k: int) -> Array:
    """What it replaces: LAPACK's column-pivoted QR of all rows in float32."""
    upper = linalg.qr(z, mode="r", pivoting=True, check_finite=False)[0]
    return np.asarray(linalg.solve_triangular(upper[:k, :k], upper[:k, k:], check_finite=False))


def timed(route: Callable[[Array, int], Array], z: Array, k: int) -> float:
    start = time.perf_counter()
    route(z, k)
    return time.perf_counter() - start


def memory(rows: int, units: int) -> tuple[float, float, float]:
    """Seconds, and peak memory in GiB before and after `engine.interpolate` on that many streamed rows."""
    import keras
    import tensorflow as tf

    import engine

    model = keras.Sequential(
        [keras.Input((32,)), keras.layers.Dense(units, activation="relu", name="wide"), keras.layers.Dense(10)]
    )

    def batch(i: Any) -> Any:
        return tf.random.stateless_normal((512, 32), seed=[0, i])

    data = tf.data.Dataset.range(-(-rows // 512)).map(batch)
    model(np.zeros((1, 32), np.float32))
    before, start = peak(), time.perf_counter()
    engine.interpolate(model, data, epsilon=0.5)
    return time.perf_counter() - start, before, peak()


def peak() -> float:
    """The most memory that this process has held, in GiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**30 if sys.platform == "darwin" else 2**20)


def main() -> None:
    """Prints the table."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--rows", type=int, default=10_000)
    arguments.add_argument("--units", type=int, default=2048)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--memory-rows", type=int, default=100_000)
    given = arguments.parse_args()
    k = given.units // 2
    routes = {"plain Cholesky": plain, "ours": ours}
    slow = {"ours, TSQR": by_rows, "pivoted QR, float32": pivoted_qr}
    if given.memory_rows:  # first: the peak is the process's own
        seconds, before, after = memory(given.memory_rows, given.units)
        print(f"engine.interpolate, {given.memory_rows} x {given.units}: {seconds:.1f} s, peak {after:.2f} GiB "
              f"(before it {before:.2f}; goal 2)")  # fmt: skip
    z = np.random.default_rng(0).standard_normal((given.rows, given.units)).astype(np.float32)
    times: dict[str, list[float]] = {name: [] for name in (*routes, *slow)}
    for repeat in range(given.repeats):
        for name, route in (routes if repeat else {**routes, **slow}).items():
            times[name].append(timed(route, z, k))
    base = min(times["plain Cholesky"])
    print(f"Z {given.rows} x {given.units}, k = {k}, minima of {given.repeats} (slow routes: one run)")
    for name, spent in times.items():
        print(f"{name:22} {min(spent):6.2f} s   {min(spent) / base:5.2f} times plain Cholesky")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
