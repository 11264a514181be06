"""Every weight method and every method at initialisation on MNIST with LeNet-300-100, over sparsities and seeds, beside
what was published, and each beside chance on the same schedule. The table comes as Markdown.

    PRUNE_TUI_DATA=FOLDER python tests/benchmarks/methods_table.py [--seeds 3] [--epochs 20] [--sparsities 50 80 90 ...]
        [--methods NAME ...] [--limit EXAMPLES] [--rounds N] [--keep FILE]

Adam 1.2e-3, batch 60. `gradual` methods prune between 10 and 75 % of the epochs; `one-shot` ones have a quarter as many
epochs again to recover, at a tenth of the rate; lottery tickets train as many epochs in each round. FOLDER holds
mnist.npz. With --keep what was run is remembered in a file of JSON lines, and a table can be made in several goes.
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
SPARSITIES = (50, 80, 90, 95, 98, 99)
CUBIC = {"name": "cubic", "begin": 0.1, "end": 0.75, "frequency": 100}
# Lee et al. 2019 for SNIP: error 1.6 % at 95 %, 2.4 % at 98 %, dense 1.7 %.
PUBLISHED = {("snip", 95): 0.984, ("snip", 98): 0.976, ("dense", 0): 0.983}


def methods(rounds):
    """name: (the sentence, the control on its schedule)."""

    def sentence(criterion, scope, schedule, repair=()):
        return {"criterion": criterion, "granularity": "weight", "scope": scope, "schedule": schedule, "repair": repair}

    tune = ["tune"]
    lottery = {"name": "iterative", "rewind": "init", **({"rounds": rounds} if rounds else {})}
    at_init = {n: sentence(n, "global", "at_init") for n in ("magnitude", "snip", "iterative_snip", "force", "grasp")}
    return {
        "random, at init": (sentence("random", "global", "at_init"), None),
        **{f"{n}, at init" if n == "magnitude" else n: (s, "random, at init") for n, s in at_init.items()},
        "snip, shuffled": (sentence("snip", "global", {"name": "at_init", "control": "shuffle"}), "random, at init"),
        "synflow": (sentence("synflow", "global", "at_init"), "random, at init"),
        "random, one-shot": (sentence("random", "global", "one_shot", tune), None),
        "magnitude, one-shot": (sentence("magnitude", "global", "one_shot", tune), "random, one-shot"),
        "taylor, one-shot": (
            sentence({"name": "taylor", "batch_size": 60}, "global", "one_shot", tune),
            "random, one-shot",
        ),
        "activation, one-shot": (sentence("activation", "neuron", "one_shot", tune), "random, one-shot"),
        "random, gradual": (sentence("random", "global", CUBIC), None),
        "magnitude, gradual": (sentence("magnitude", "global", CUBIC), "random, gradual"),
        "magnitude, by layer": (sentence("magnitude", "layer", CUBIC), "random, gradual"),
        "magnitude, erk": (sentence("magnitude", "erk", CUBIC), "random, gradual"),
        "magnitude, lamp": (sentence("magnitude", "lamp", CUBIC), "random, gradual"),
        "movement, gradual": (sentence("movement", "global", CUBIC), "random, gradual"),
        "random, static erk": (sentence("random", "erk", "at_init"), None),
        "set": (sentence("random", "erk", {"name": "drop_grow", "grow": "random"}), "random, static erk"),
        "rigl": (sentence("random", "erk", {"name": "drop_grow", "grow": "gradient"}), "random, static erk"),
        "random, lottery": (sentence("random", "global", lottery), None),
        "lottery": (sentence("magnitude", "global", lottery), "random, lottery"),
        "lottery, new weights": (
            sentence("magnitude", "global", {**lottery, "control": "reinitialise"}),
            "random, lottery",
        ),
    }


def run(name, sentence, sparsity, seed, asked, kept):
    """One test accuracy and the dense one, remembered."""
    from engine.recipe_reading import recipe_from
    from engine.running.executing import run as execute
    from engine.yaml12 import Document

    tune = {"name": "fine_tune", "epochs": max(1, asked.epochs // 4), "learning_rate": 0.00012}
    recipe = {
        "name": name,
        "data": {"name": "mnist", **({"limit": asked.limit} if asked.limit else {})},
        "model": "lenet_300_100",
        "train": {"epochs": asked.epochs, "batch_size": 60, "optimizer": {"name": "adam", "learning_rate": 0.0012}},
        "prune": {
            **sentence,
            "target": {"sparsity": sparsity / 100},
            "repair": [tune if part == "tune" else part for part in sentence["repair"]],
        },
        "measure": {"latency": None},
        "seed": seed,
    }
    key = json.dumps({k: v for k, v in recipe.items() if k != "name"}, sort_keys=True)
    if key not in kept:
        begun = time.perf_counter()
        session = execute(recipe_from(Document(recipe, {}, name)))
        kept[key] = [session.pruned["metric"]["value"], session.dense["metric"]["value"]]
        took = time.perf_counter() - begun
        print(f"{name} at {sparsity} %, seed {seed}: {kept[key][0]:.4f} in {took:.0f} s", file=sys.stderr, flush=True)
        if asked.keep:
            with asked.keep.open("a") as file:
                file.write(json.dumps([key, kept[key]]) + "\n")
    return kept[key]


def cell(values, chance, published):
    mean = statistics.mean(values)
    spread = statistics.stdev(values) if len(values) > 1 else None
    text = f"{100 * mean:.2f}" + ("" if spread is None else f" ± {100 * spread:.2f}")
    if published is not None:
        text += f" (published {100 * published:.1f})"
    if chance:
        noise = (spread or 0.0) + (statistics.stdev(chance) if len(chance) > 1 else 0.0)
        text += "" if mean - statistics.mean(chance) > noise else " ✗"
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--sparsities", nargs="+", type=int, default=list(SPARSITIES))
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="default: all; controls come along")
    parser.add_argument("--limit", type=int, help="training examples; default: all 55,000")
    parser.add_argument("--rounds", type=int, help="of lottery tickets; default: as many as 20 %% a round needs")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()

    folder = os.environ.get("PRUNE_TUI_DATA")
    if not folder or not (Path(folder).expanduser() / "mnist.npz").is_file():
        print("not run: this table is of the real MNIST; set PRUNE_TUI_DATA to a folder that holds mnist.npz")
        return
    kept = {}
    if asked.keep and asked.keep.exists():
        kept = dict(json.loads(line) for line in asked.keep.read_text().splitlines())
    every = methods(asked.rounds)
    unknown = set(asked.methods or ()) - set(every)
    if unknown:
        parser.error(f"no method named {', '.join(sorted(unknown))}; known: {', '.join(every)}")
    wanted = [n for n in every if not asked.methods or n in asked.methods]
    controls = {every[n][1] for n in wanted if every[n][1]}
    wanted = [n for n in every if n in wanted or n in controls]
    found, dense = {}, {}
    for sparsity in asked.sparsities:
        for name in wanted:
            rows = [run(name, every[name][0], sparsity, seed, asked, kept) for seed in range(asked.seeds)]
            found[name, sparsity] = [row[0] for row in rows]
            dense |= {seed: row[1] for seed, row in enumerate(rows)}
    examples = f"{asked.limit:,} examples" if asked.limit else "all 55,000 examples"
    print(f"{asked.seeds} seeds, {asked.epochs} epochs, {examples}; test accuracy in %")
    print(f"dense {cell(list(dense.values()), None, PUBLISHED['dense', 0])}; ✗: not clearly above its control\n")
    print("| method | control | " + " | ".join(f"{s} %" for s in asked.sparsities) + " |")
    print("|---|---|" + "---|" * len(asked.sparsities))
    for name in wanted:
        control = every[name][1]
        cells = [cell(found[name, s], found.get((control, s)), PUBLISHED.get((name, s))) for s in asked.sparsities]
        print(f"| {name} | {control or 'is one'} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
