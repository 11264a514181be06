"""Whether `budget` keeps its promise on data that it has not seen: digits, cut another way each time.

    python tests/benchmarks/budget_splits.py [--splits 20] [--margins 0 1 2]

One validation part that happens to be easy is easy for every seed, so seeds alone are not independent tries: here each
try has training, validation and test parts of its own, and a network of its own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from adaptive_table import numbers, play
from sklearn.datasets import load_digits

HEAD = ("margin", "weights gone", "the least", "lost by validation", "lost on the test part", "more than a point")


def tries(data: Path, margin: float, splits: int) -> list[dict[str, float]]:
    """One search a split."""
    found = []
    for split in range(splits):
        more = {"seed": split, "data": {"npz": str(data), "split_seed": split}, "prune.target.margin": margin}
        session, seconds = play("budget", more)
        known = session.dense["validation"] - session.pruned["validation"]
        found.append({**numbers(session, seconds), "known": known})
        print(f"margin {margin:g}, split {split}: {found[-1]}", file=sys.stderr, flush=True)
    return found


def row(margin: float, found: Sequence[dict[str, float]]) -> str:
    """Mean and standard deviation over the splits, and how often the test part lost more than a point."""
    gone, known, lost = ([f[name] for f in found] for name in ("weights gone", "known", "lost"))
    cells = [
        f"{margin:g}", spread(gone), f"{min(gone):.3f}", spread(known), spread(lost),
        f"{sum(value > 0.01 + 1e-9 for value in lost)} of {len(lost)}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    return f"{statistics.mean(values):.3f} ±{statistics.stdev(values):.3f}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--splits", type=int, default=20, help="two or more")
    parser.add_argument("--margins", type=float, nargs="+", default=[0.0, 1.0, 2.0])
    given = parser.parse_args()
    digits = load_digits()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "digits.npz"
        np.savez(data, x=(digits.data / 16).astype(np.float32), y=digits.target.astype(np.int32))
        print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
        for margin in given.margins:
            print(row(margin, tries(data, margin, given.splits)), flush=True)


if __name__ == "__main__":
    main()
