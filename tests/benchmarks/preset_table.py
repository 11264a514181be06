"""Every preset beside its random control: the same sentence (model, training, schedule, target, repair), but chance
instead of a criterion. Asked: a dense control of at least 96 %, and each method clearly above random. Needs no files.

    python tests/benchmarks/preset_table.py [PRESET ...] [--seeds 3] [--set KEY=VALUE ...] [--keep FILE]

What is measured is test accuracy, mean and deviation over seeds, and seconds a run with the dense model already there.
With --keep, results are remembered by recipe in a file of JSON lines, and a recipe that is there is not run again.
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
OWN = ("By itself", "Experiments")  # they state no sparsity at which chance could be asked


def control(recipe):
    """What makes a recipe its own random control; None where it is one."""
    if recipe.prune.schedule.name == "drop_grow":
        return {"prune.schedule": "at_init"}
    return None if recipe.prune.criterion.name == "random" else {"prune.criterion": "random"}


def run(name, overrides, kept, file):
    import engine
    from engine.recipe import to_plain

    recipe = engine.load_recipe(name, overrides=overrides)
    plain = {k: v for k, v in to_plain(recipe).items() if k not in ("name", "title", "family", "about")}
    key = json.dumps(plain, sort_keys=True)
    if key not in kept:
        begun = time.perf_counter()
        session = engine.run(recipe)
        row = {
            "test": session.pruned["metric"]["value"],
            "dense": (session.dense.get("metric") or {}).get("value"),
            "before": session.before_recovery.get("validation"),
            "sparsity": session.sparsity,
            "seconds": time.perf_counter() - begun,
        }
        kept[key] = row
        if file:
            with file.open("a") as out:
                out.write(json.dumps([key, row]) + "\n")
    return kept[key]


def spread(values):
    values = [v for v in values if v is not None]
    if not values:
        return f"{'':14}"
    return f"{statistics.mean(values):.3f} +- {statistics.stdev(values) if len(values) > 1 else 0:.3f}"


def verdict(ours, chance):
    """Clearly better: by more than the deviation of the gaps. A seed's two runs share dense model and order of data."""
    gaps = [a - b for a, b in zip(ours, chance, strict=True)]
    noise = statistics.stdev(gaps) if len(gaps) > 1 else 0.0
    return f"{statistics.mean(gaps):+.3f} +- {noise:.3f} {'better' if statistics.mean(gaps) > noise else 'NOT CLEAR'}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()

    import engine
    from engine.presets import paths
    from engine.recipe_reading import parse_override

    more = {"measure.latency": None, **dict(map(parse_override, asked.set))}
    kept = {}
    if asked.keep and asked.keep.exists():
        kept = dict(json.loads(line) for line in asked.keep.read_text().splitlines())
    print(f"{'preset':20} {'dense':14} {'sparsity':>8} {'test':14} {'random':14} {'':25} {'seconds':>7}")
    for name in asked.presets or paths():
        recipe = engine.load_recipe(name)
        if recipe.prune is None or (not asked.presets and recipe.family in OWN):
            continue
        chance = control(recipe)
        rows, others = [], []
        for seed in range(asked.seeds):
            rows.append(run(name, {**more, "seed": seed}, kept, asked.keep))
            if chance is not None:
                others.append(run(name, {**more, "seed": seed, **chance}, kept, asked.keep))
        ours, theirs = [r["test"] for r in rows], [r["test"] for r in others]
        dense, seconds = spread([r["dense"] for r in rows]), statistics.median(r["seconds"] for r in rows)
        words = verdict(ours, theirs) if theirs else "is a control"
        sparsity = rows[0]["sparsity"]
        print(
            f"{name:20} {dense} {sparsity:>8.1%} {spread(ours)} {spread(theirs)} {words:25} {seconds:>7.1f}", flush=True
        )


if __name__ == "__main__":
    main()
