"""The baseline experiment on the real MNIST (weights by magnitude, units by norm), over seeds, beside the published
columns: mean and deviation at ten percentiles, three timings, and each sentence of its author's analysis answered.

    PRUNE_TUI_DATA=FOLDER python tests/benchmarks/seed_table.py [--seeds 3] [--epochs 10] [--keep FILE]

MLP 784-1000-1000-500-200-10 without biases, ReLU, Adam 1e-3, batch 64, 10 epochs, no fine-tuning. FOLDER holds
mnist.npz. The table comes as Markdown. Times are of one batch of 64: medians over seeds of each run's own medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
PERCENTILES = (0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)
PUBLISHED = {
    "weight": (0.9796, 0.9803, 0.9802, 0.9803, 0.9793, 0.9766, 0.9608, 0.8494, 0.6411, 0.1271),
    "unit": (0.9796, 0.9805, 0.9790, 0.9763, 0.9688, 0.6920, 0.3715, 0.1235, 0.1133, 0.0980),
}
OVERRIDES = {"data": {"name": "mnist"}, "model": {"name": "baseline_mlp"}}
# In the order in which the timings are told: the same matrices dense, as sparse matrices, and the smaller dense ones.
RUNTIMES = ["tensorflow", "tensorflow_sparse", "scipy"]


def tell(event):
    """One line a point on stderr: it takes minutes."""
    from engine.events import Result

    if isinstance(event, Result) and event.name == "sweep":
        row = event.value[-1]
        words = f"{row['granularity']} at {row['asked']:.0%}: {row.get('accuracy', 'failed')}"
        print(f"  {words}", file=sys.stderr, flush=True)


def measured(seeds, epochs, more, keep=None):
    """Rows by (granularity, percentile), one a seed; seeds that the file `keep` holds are not run again."""
    import engine

    rows = {}
    kept = json.loads(keep.read_text()) if keep and keep.exists() else {}
    for seed in range(seeds):
        begun = time.perf_counter()
        given = {**OVERRIDES, "train.epochs": epochs, "measure.runtimes": RUNTIMES, **more, "seed": seed}
        key = json.dumps(given, sort_keys=True)
        if key not in kept:
            session = engine.run(engine.load_recipe("baseline", overrides=given), on_event=tell)
            kept[key] = session.results["sweep"]
            if keep:
                keep.write_text(json.dumps(kept))
        for row in kept[key]:
            rows.setdefault((row["granularity"], row["asked"]), []).append(row)
        print(f"seed {seed}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    return rows


def column(rows, key):
    return [float(r[key]) for r in rows if r.get(key) not in (None, "nan", "inf")]


def cell(values, published=None):
    if not values:
        return "failed" if published is None else f"failed ({published:.4f})"
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    beside = "" if published is None else f" ({published:.4f})"
    return f"{statistics.mean(values):.4f} ± {spread:.4f}{beside}"


def table(rows):
    """Accuracy beside the published, what is left, and the times."""
    lines = [
        "| percentile | weight: accuracy (published) | unit: accuracy (published) | unit: parameters left "
        "| dense ms | sparse ms | SciPy ms | units gone ms |",
        "|---:|---|---|---:|---:|---:|---:|---:|",
    ]
    for i, p in enumerate(PERCENTILES):
        weight, unit = rows.get(("weight", p), []), rows.get(("unit", p), [])
        left = column(unit, "parameters")
        times = [
            column(weight, "tensorflow ms"),
            column(weight, "tensorflow_sparse ms"),
            column(weight, "scipy ms"),
            column(unit, "tensorflow ms"),
        ]
        cells = [
            f"{p:.0%}",
            cell(column(weight, "accuracy"), PUBLISHED["weight"][i]),
            cell(column(unit, "accuracy"), PUBLISHED["unit"][i]),
            f"{statistics.mean(left):,.0f}" if left else "",
            *(f"{statistics.median(t):.3f}" if t else "" for t in times),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def answers(rows):
    """The author's sentences, each with our numbers."""

    def mean(kind, p, key="accuracy"):
        values = column(rows.get((kind, p), []), key)
        return statistics.mean(values) if values else float("nan")

    dense = mean("weight", 0.0)
    apart = {p: mean("weight", p) - mean("unit", p) for p in PERCENTILES}
    alike = [p for p in PERCENTILES if abs(apart[p]) <= 0.01]
    until = max((p for p in alike if all(q in alike for q in PERCENTILES if q <= p)), default=0.0)
    lines = [
        f"- *Alike at low sparsity*: weight and unit are within a point of each other up to {until:.0%} "
        f"(apart by {100 * apart[0.5]:+.2f} points at 50 %, {100 * apart[0.6]:+.2f} at 60 %, "
        f"{100 * apart[0.7]:+.2f} at 70 %). Published: alike up to some 60 %."
    ]
    falls = next((p for p in PERCENTILES if dense - mean("unit", p) > 0.1), None)
    steps = ", ".join(f"{mean('unit', p):.3f} at {p:.0%}" for p in (0.7, 0.8, 0.9, 0.95))
    end = f"; over ten points below the dense {dense:.4f} from {falls:.0%} on." if falls else ": it does not here."
    lines.append(f"- *Unit pruning collapses*: {steps}{end}")
    holds = max((p for p in PERCENTILES if dense - mean("weight", p) <= 0.01), default=0.0)
    lines.append(
        f"- *Weight pruning is robust to 80 %*: {mean('weight', 0.8):.4f} at 80 %, {mean('weight', 0.9):.4f} at 90 %, "
        f"dense {dense:.4f}; it stays within a point up to {holds:.0%}."
    )
    kinds = ("tensorflow_sparse ms", "tensorflow ms", "scipy ms")
    ratios = {p: tuple(mean("weight", p, kind) for kind in kinds) for p in PERCENTILES}
    told = ", ".join(f"{s / d:.2f} at {p:.0%}" for p, (s, d, _) in ratios.items() if p in (0.25, 0.8, 0.95, 0.99))
    wins = [p for p, (s, d, _) in ratios.items() if s < d]
    scipy = [p for p, (_, d, s) in ratios.items() if s < d]
    first = f"from {min(wins):.0%} on" if wins else "at no percentile"
    second = f"from {min(scipy):.0%} on" if scipy else "at no percentile"
    lines.append(
        f"- *Sparse kernels are faster* (published: 0.99 of the dense time at 25 % down to 0.79 at 99 %): TensorFlow's "
        f"sparse matrices take {told} of the dense time here and beat it {first}; SciPy's, on one thread, {second}."
    )
    units = {p: mean("unit", p, "tensorflow ms") / mean("unit", 0.0, "tensorflow ms") for p in (0.5, 0.8, 0.9)}
    lines.append(
        "- *Removed units are faster on any hardware*: "
        + ", ".join(f"{r:.2f} of the dense time at {p:.0%}" for p, r in units.items())
        + "."
    )
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--keep", type=Path, help="a file that remembers each seed, for a table made in several goes")
    asked = parser.parse_args()

    folder = os.environ.get("PRUNE_TUI_DATA")
    if not folder or not (Path(folder).expanduser() / "mnist.npz").is_file():
        print("not run: this table is of the real MNIST; set PRUNE_TUI_DATA to a folder that holds mnist.npz")
        return

    from engine.measurement.measuring import device_name, threads
    from engine.recipe_reading import parse_override

    rows = measured(asked.seeds, asked.epochs, dict(map(parse_override, asked.set)), asked.keep)
    print(f"{asked.seeds} seeds, {asked.epochs} epochs; {device_name()}, {threads()} threads, batch 64\n")
    print("\n".join([*table(rows), "", *answers(rows)]))


if __name__ == "__main__":
    main()
