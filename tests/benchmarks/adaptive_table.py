"""What the methods that decide by themselves find: sparsity, accuracy beside the dense control, FLOPs, epochs spent.

    python tests/benchmarks/adaptive_table.py [--data digits] [--models mlp cnn] [--seeds 0 1 2] [--methods column-norm]
    PRUNE_TUI_DATA=... python tests/benchmarks/adaptive_table.py --data mnist --limit 10000 --set sap:train.epochs=5

The two given sparsities at the end (magnitude weights, L2 units) get what column-norm found, and as many epochs: the
gradual one trains for all but the 10 that its repair takes, the other trains half of them and repairs in the rest.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from engine.events import Progress
from engine.recipe import load_recipe
from engine.running.executing import execute
from engine.session import Session

METHODS = ("column-norm", "sap", "budget")
CONTROLS = ("gradual-global", "l2-units")
HEAD = ("method", "model", "weights gone", "units left", "FLOPs left", "accuracy", "dense", "lost", "epochs", "seconds")


def play(preset: str, overrides: dict[str, Any]) -> tuple[Session, float]:
    """One run, quietly."""
    session = Session()
    count = 0

    def emit(event: Any) -> int | None:
        nonlocal session, count
        if isinstance(event, Progress):
            return None
        count += 1
        session = session.apply(event)
        return count

    began = time.perf_counter()
    execute(load_recipe(preset, overrides={"measure.latency": None, **overrides}), emit)
    return session, time.perf_counter() - began


def numbers(session: Session, seconds: float) -> dict[str, float]:
    """The row of one run, on the test split."""
    counts, pruned, dense = session.counts, session.pruned, session.dense
    accuracy, before = pruned["metric"]["value"], dense["metric"]["value"]
    return {
        "weights gone": counts.weight_sparsity,
        "units left": counts.units_kept / counts.units,
        "FLOPs left": (pruned["effective_flops"] or 0) / (dense["flops"] or 1),
        "accuracy": accuracy,
        "dense": before,
        "lost": before - accuracy,
        "epochs": len(session.epochs),
        "seconds": seconds,
    }


def keep(found: dict[str, list[dict[str, float]]], method: str, made: dict[str, float], seed: int) -> None:
    """Adds a run, and shows it on the error stream: what is long may be cut short."""
    found.setdefault(method, []).append(made)
    print(f"seed {seed} {row(method, '', [made])}", file=sys.stderr, flush=True)


def row(method: str, model: str, found: list[dict[str, float]]) -> str:
    """Mean and standard deviation over seeds."""
    cells = [method, model]
    for name in HEAD[2:]:
        values = [f[name] for f in found]
        spread = f" ±{statistics.stdev(values):.3f}" if len(values) > 1 and name not in ("epochs", "seconds") else ""
        digits = 0 if name in ("epochs", "seconds") else 3
        cells.append(f"{statistics.mean(values):.{digits}f}{spread}")
    return "| " + " | ".join(cells) + " |"


def overrides_of(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Overrides by method, from `METHOD:KEY=VALUE`; those without a method are column-norm's."""
    from engine.recipe_reading import parse_override

    found: dict[str, dict[str, Any]] = {method: {} for method in (*METHODS, *CONTROLS)}
    for text in texts:
        method, _, rest = text.partition(":")
        key, value = parse_override(rest if method in found else text)
        found[method if method in found else "column-norm"][key] = value
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--models", nargs="+", default=["mlp"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--epochs", type=int, default=90, help="of the dynamic method, its repair's 10 not counted")
    parser.add_argument("--limit", type=int, help="examples of the data set at most")
    parser.add_argument("--folder", help="the image folder, for --data folder")
    parser.add_argument("--set", nargs="*", default=[], help="more overrides, [METHOD:]KEY=VALUE (of column-norm)")
    given = parser.parse_args()
    more = overrides_of(given.set)
    more["column-norm"] = {"train.epochs": given.epochs, **more["column-norm"]}
    kind = {"data.name": given.data, "data.limit": given.limit, "data.folder": given.folder}
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "---|" * len(HEAD))
    for model in given.models:
        found: dict[str, list[dict[str, float]]] = {}
        for seed in given.seeds:
            base = {**{k: v for k, v in kind.items() if v is not None}, "model.name": model, "seed": seed}
            for method in given.methods:
                session, seconds = play(method, {**base, **more[method]})
                keep(found, method, numbers(session, seconds), seed)
                if method != "column-norm":
                    continue
                gone, units = session.counts.weight_sparsity, session.counts
                most = min(0.95, 1 - units.units_kept / units.units)
                for control, value in zip(CONTROLS, (gone, most), strict=True):
                    if round(value, 4) == 0:  # nothing went that way: there is no share to be given
                        continue
                    spent = len(session.epochs)
                    repair = spent // 2 if control == "l2-units" else min(10, spent // 2)
                    fixed: dict[str, Any] = {
                        "prune.target.sparsity": round(value, 4),
                        "train.epochs": spent - repair,
                        "prune.repair": [{"name": "fine_tune", "epochs": repair}],
                    }
                    session_, seconds = play(control, {**base, **more[control], **fixed})
                    keep(found, f"{control} at the same share", numbers(session_, seconds), seed)
        for method, rows in found.items():
            print(row(method, model, rows), flush=True)


if __name__ == "__main__":
    main()
