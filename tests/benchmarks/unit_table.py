"""Accuracy against FLOPs removed: every unit criterion alone, recalibrated, interpolated, and after one epoch.

    python tests/benchmarks/unit_table.py --tiny
    PRUNE_TUI_DATA=... python tests/benchmarks/unit_table.py --data mnist --model cnn --epochs 5
    python tests/benchmarks/unit_table.py --data folder --folder PATH --model resnet20 --epochs 15 [--inside]

The same dense network and the same share of units a layer for all (so the same FLOPs), test accuracy, mean and standard
deviation over seeds; `random`, which the others are held against, is drawn several times a seed. `bn_scale` has a dense
network of its own, trained with the penalty on gamma. Below the table each claim of the literature is answered:
interpolation far above plain removal without fine-tuning; every criterion above random.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Table = dict[tuple[str, float, str], list[float]]
CRITERIA = (
    "random", "l1_norm", "l2_norm", "bn_scale", "fpgm", "taylor", "activation", "apoz", "column_norm", "interpolative",
)  # fmt: skip
PENALTY = 1e-4
REPAIRS = ("alone", "recalibrate", "interpolate", "interpolate, recalibrate", "one epoch")


def dense_model(given: argparse.Namespace, data: Any, seed: int, *, penalty: float = 0.0) -> Any:
    """The dense network, trained; with a penalty also on every BatchNorm's gamma (network slimming)."""
    import keras

    import engine
    from engine.criteria.bn_scale import gammas
    from engine.models import build

    keras.utils.set_random_seed(seed)
    model = build(given.model, data.input_shape, data.classes, seed=seed)
    for gamma in gammas(model) if penalty else ():
        gamma.regularizer = keras.regularizers.L1(penalty)
    steps = -(-len(data.x_train) // given.batch_size) * given.epochs
    fit(
        given, model, data, rate=keras.optimizers.schedules.CosineDecay(given.learning_rate, steps), epochs=given.epochs
    )
    for gamma in gammas(model):
        gamma.regularizer = None
    if given.recalibrated:
        engine.recalibrate(model, data.x_train[: given.samples])
    return model


def inner(model: Any) -> set[str]:
    """The layers whose units only they make: not those that a residual sum ties to other layers' units."""
    import engine

    alone = [g for g in engine.dependency_groups(model) if g.roles.count("column") == 1]
    return {layer for group in alone for layer in group.layers}


def fit(given: argparse.Namespace, model: Any, data: Any, *, rate: Any, epochs: int) -> None:
    """Plain Keras training with Adam."""
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not probabilities(model))
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(data.x_train, data.y_train, epochs=epochs, batch_size=given.batch_size, verbose=0)


def probabilities(model: Any) -> bool:
    """True when the model ends in a softmax."""
    return getattr(getattr(model.layers[-1], "activation", None), "__name__", "") == "softmax"


def accuracy(model: Any, data: Any) -> float:
    """On the test part."""
    import tensorflow as tf

    forward = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    right = 0
    for start in range(0, len(data.x_test), 512):
        found = forward(tf.convert_to_tensor(data.x_test[start : start + 512])).numpy().argmax(-1)
        right += int((found == data.y_test[start : start + 512]).sum())
    return right / len(data.x_test)


def repaired(
    given: argparse.Namespace, model: Any, data: Any, keep: Mapping[str, Array], seed: int
) -> dict[str, float]:
    """Test accuracy after each repair, and `flops`: the share of the FLOPs that went."""
    import engine
    from engine.surgery import remove

    gone = {key: np.flatnonzero(~k) for key, k in keep.items() if not k.all()}
    x = data.x_train[np.random.default_rng(seed).permutation(len(data.x_train))[: given.samples]]
    made = remove(model, gone)
    before, after = made.report.flops
    results = {"flops": 1 - after / before, "alone": accuracy(made.model, data)}
    engine.recalibrate(made.model, x)
    results["recalibrate"] = accuracy(made.model, data)
    fit(given, made.model, data, rate=given.learning_rate / 10, epochs=1)
    results["one epoch"] = accuracy(made.model, data)
    kept = {key: np.flatnonzero(k).tolist() for key, k in keep.items() if not k.all()}
    folded = engine.interpolate(model, x, keep=kept, ridge=None)
    results["interpolate"] = accuracy(folded, data)
    engine.recalibrate(folded, x)
    results["interpolate, recalibrate"] = accuracy(folded, data)
    return results


class Bench:
    """What one seed measures; its dense networks are trained when they are first asked for."""

    def __init__(self, given: argparse.Namespace, data: Any, seed: int) -> None:
        self.given, self.data, self.seed = given, data, seed
        rows = np.random.default_rng(seed).permutation(len(data.x_train))[: given.samples]
        self.sample = data.x_train[rows], data.y_train[rows]
        self.trained: dict[float, Any] = {}

    def model(self, penalty: float = 0.0) -> Any:
        """The dense network: trained, or found among those that were kept."""
        import keras

        given = self.given
        if penalty not in self.trained:
            told = given.data, given.model, given.limit, given.epochs, given.batch_size, self.seed, penalty
            file = given.networks and given.networks / ("-".join(map(str, told)) + ".keras")
            if file and file.exists():
                self.trained[penalty] = keras.models.load_model(file)
            else:
                self.trained[penalty] = dense_model(given, self.data, self.seed, penalty=penalty)
            if file and not file.exists():
                given.networks.mkdir(parents=True, exist_ok=True)
                self.trained[penalty].save(file)
        return self.trained[penalty]

    def dense(self) -> dict[str, float]:
        """Accuracies of the dense networks."""
        import engine

        model = self.model()
        found, before = {"alone": accuracy(model, self.data)}, model.get_weights()
        if "bn_scale" in self.given.criteria:
            found["with the penalty"] = accuracy(self.model(PENALTY), self.data)
        engine.recalibrate(model, self.sample[0])
        found["recalibrate"] = accuracy(model, self.data)
        model.set_weights(before)
        return found

    def row(self, name: str, draw: int, sparsity: float) -> dict[str, float]:
        """Accuracies after each repair of what this criterion leaves."""
        import engine
        from engine.surgery import kept_units, layer_units

        model = self.model(PENALTY if name == "bn_scale" else 0.0)
        more = {"batch_size": 64} if name == "taylor" else {}
        scores = engine.score_units(model, name, self.sample, seed=self.seed + 1000 * draw, **more)
        keep = kept_units(layer_units(model), scores, sparsity, scope="layer")
        if self.given.inside:
            among = inner(model)
            keep = {key: kept for key, kept in keep.items() if key in among}
        return repaired(self.given, model, self.data, keep, self.seed)


def measure(given: argparse.Namespace) -> tuple[Table, dict[str, list[float]]]:
    """The whole table: accuracies by (criterion, sparsity, repair), and those of the dense networks."""
    from engine.data import load

    params = {"folder": given.folder} if given.data == "folder" else {}
    if given.limit:
        params["limit"] = given.limit
    data = load(given.data, **params)
    table: Table = {}
    dense: dict[str, list[float]] = {"alone": [], "recalibrate": [], "with the penalty": []}
    kept = Kept(given.keep)
    draws = [(name, d) for name in given.criteria for d in range(given.draws if name == "random" else 1)]
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        bench = Bench(given, data, seed)
        for how, value in kept.made(f"seed {seed}: dense", bench.dense).items():
            dense[how].append(value)
        for (name, draw), sparsity in itertools.product(draws, given.sparsities):
            row = partial(bench.row, name, draw, sparsity)
            where = " inside" if given.inside else ""
            for repair, value in kept.made(f"seed {seed}: {name} {draw} {sparsity:.0%}{where}", row).items():
                table.setdefault((name, sparsity, repair), []).append(value)
    return table, dense


class Kept:
    """What was measured already, in a file of JSON lines where one is given."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        told = self.file.read_text().splitlines() if self.file and self.file.exists() else []
        self.rows: dict[str, dict[str, float]] = dict(json.loads(line) for line in told)

    def made(self, name: str, make: Callable[[], dict[str, float]]) -> dict[str, float]:
        """The numbers under this name: measured now where they are not known."""
        if name not in self.rows:
            start = time.perf_counter()
            self.rows[name] = make()
            said = ", ".join(f"{how} {value:.3f}" for how, value in self.rows[name].items())
            print(f"  {name}: {said} ({time.perf_counter() - start:.0f} s)", flush=True)
            if self.file:
                with self.file.open("a") as file:
                    file.write(json.dumps([name, self.rows[name]]) + "\n")
        return self.rows[name]


def show(
    table: Table, dense: Mapping[str, Sequence[float]], criteria: Sequence[str], sparsities: Sequence[float]
) -> None:
    """Prints the table in Markdown, and what became of the claims."""
    print("\ndense: " + "; ".join(f"{how} {cell(values)}" for how, values in dense.items() if values) + "\n")
    print("| units gone | FLOPs gone | criterion | " + " | ".join(REPAIRS) + " |")
    print("|---|---|---|" + "---|" * len(REPAIRS))
    for sparsity in sparsities:
        for name in criteria:
            cells = " | ".join(cell(table[name, sparsity, r]) for r in REPAIRS)
            print(f"| {sparsity:.0%} | {np.mean(table[name, sparsity, 'flops']):.0%} | {name} | {cells} |")
    print("\nClaims (means over seeds)")
    for sparsity in sparsities:
        mean = {(n, r): float(np.mean(table[n, sparsity, r])) for n in criteria for r in REPAIRS}
        below = [n for n in criteria if mean[n, "interpolate"] < mean[n, "alone"]]
        print(f"- {sparsity:.0%}: interpolation above plain removal for {len(criteria) - len(below)} of {len(criteria)}"
              + (f"; not for {', '.join(below)}" if below else ""))  # fmt: skip
        if "random" in criteria:
            for repair in REPAIRS:
                gain = {n: mean[n, repair] - mean["random", repair] for n in criteria if n != "random"}
                worse = [f"{n} ({by:+.3f})" for n, by in gain.items() if by <= 0]
                print(
                    f"- {sparsity:.0%}, {repair}: "
                    + (f"not above random: {', '.join(worse)}" if worse else "all above random")
                )


def cell(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--folder", help="the image folder, for --data folder")
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--samples", type=int, default=1000, help="inputs to score, recalibrate and interpolate on")
    parser.add_argument("--limit", type=int, help="examples of the data set at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=3, help="of random, a seed")
    parser.add_argument("--sparsities", type=float, nargs="+", default=[0.25, 0.5, 0.75])
    parser.add_argument("--criteria", nargs="+", default=list(CRITERIA))
    parser.add_argument(
        "--recalibrated", action="store_true", help="dense BatchNorms too, where few steps leave them behind"
    )
    parser.add_argument("--inside", action="store_true", help="only units of one layer alone, no residual groups")
    parser.add_argument("--networks", type=Path, help="a folder that keeps the trained dense networks")
    parser.add_argument("--keep", type=Path, help="a file of JSON lines that remembers what was measured")
    parser.add_argument("--tiny", action="store_true", help="digits, two criteria beside random, one seed: a minute")
    given = parser.parse_args()
    if given.tiny:
        given.data, given.model, given.epochs, given.seeds, given.samples = "digits", "cnn", 3, 1, 256
        given.draws = 1
        given.sparsities, given.criteria, given.batch_size = [0.5], ["random", "l2_norm", "interpolative"], 32
    start = time.perf_counter()
    table, dense = measure(given)
    spent = time.perf_counter() - start
    print(f"\n{given.data}, {given.model}, {given.epochs} epochs, {given.seeds} seeds, {spent:.0f} s")
    show(table, dense, given.criteria, given.sparsities)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
