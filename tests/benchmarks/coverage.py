"""How far removal reaches: 30 % of the units of every architecture in keras.applications, of a ViT and a text encoder.

For each: units removed over units asked (a barrier is a miss), FLOPs removed, whether the smaller model answers as the
original with the lost channels masked (by a route of its own), one training step, saving and loading. Each architecture
runs in a process of its own, so that memory stays bounded.

    python tests/benchmarks/coverage.py [NAME ...] [--share 0.3]
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2]))
SIZES = {"Inception": 75, "Xception": 71, "NASNet": 64}
LINE = "{:20} {:>6} {:>7} {:>7} {:>6} {:>6} {:>8} {:>5} {:>5} {:>7} {:>7}"


def names():
    import keras

    found = [n for n, f in vars(keras.applications).items() if inspect.isfunction(f)]
    return [*sorted(found), "vit", "text_encoder"]


def build(name):
    import keras

    if name == "vit":
        return vit(), (32, 32, 3)
    if name == "text_encoder":
        return text_encoder(), (16,)
    size = next((s for start, s in SIZES.items() if name.startswith(start)), 32)
    make = getattr(keras.applications, name)
    options = {"weights": None, "input_shape": (size, size, 3), "classes": 10}
    if "classifier_activation" in inspect.signature(make).parameters:
        options["classifier_activation"] = None
    return make(**options), (size, size, 3)


def transformer(x, width, depth):
    import keras

    L = keras.layers
    for _ in range(depth):
        y = L.LayerNormalization()(x)
        x = L.Add()([x, L.MultiHeadAttention(8, 8)(y, y)])
        y = L.LayerNormalization()(x)
        x = L.Add()([x, L.Dense(width)(L.Dense(4 * width, activation="gelu")(y))])
    return L.LayerNormalization()(x)


def vit():
    import keras

    L, ops = keras.layers, keras.ops
    i = keras.Input((32, 32, 3))
    x = L.Reshape((16, 64))(L.Conv2D(64, 8, strides=8)(i))
    place = ops.cumsum(ops.ones_like(ops.reshape(i[:, ::8, ::8, 0], (-1, 16)), dtype="int32"), axis=1) - 1
    x = transformer(x + L.Embedding(16, 64)(place), 64, 3)
    return keras.Model(i, L.Dense(10)(L.GlobalAveragePooling1D()(x)))


def text_encoder():
    import keras

    L, ops = keras.layers, keras.ops
    i = keras.Input((16,), dtype="int32")
    place = ops.cumsum(ops.ones_like(i), axis=1) - 1
    x = L.Add()([L.Embedding(100, 64)(i), L.Embedding(16, 64)(place)])
    return keras.Model(i, L.Dense(10)(L.GlobalAveragePooling1D()(transformer(x, 64, 2))))


def measure(name, share):
    import keras
    import numpy as np

    from engine.surgery import layer_units, norm_scores, remove

    spec = importlib.util.spec_from_file_location("reference", HERE.parents[1] / "engine" / "surgery" / "reference.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    model, shape = build(name)
    reference.randomize(model)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, (2, *shape)) if len(shape) == 1 else rng.normal(0, 1, (2, *shape)).astype("float32")
    start = time.perf_counter()
    units = layer_units(model)
    graph = time.perf_counter() - start
    scores = norm_scores(model)
    last = model.outputs[0]._keras_history.operation.name
    wanted = {k: u for k, u in units.items() if k != last and u.stays != f"{last}: it makes the model's output"}
    asked = {k: np.argsort(scores[k], kind="stable")[: int(share * u.units)] for k, u in wanted.items() if k in scores}
    start = time.perf_counter()
    done = remove(model, asked)
    removal = time.perf_counter() - start
    report = done.report
    error = reference.difference([np.asarray(done.model(x))], reference.masked_outputs(model, [x], report.removed))
    before = np.asarray(done.model(x))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.keras"
        done.model.save(path)
        again = np.asarray(keras.models.load_model(path)(x))
    done.model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    loss = float(done.model.train_on_batch(x, np.zeros(2)))
    why = sorted({s.reason for s in report.skipped})
    return {
        "name": name,
        "layers": len(model.layers),
        "asked": report.asked,
        "reached": report.reached,
        "params": report.params,
        "flops": report.flops,
        "error": error,
        "trains": bool(np.isfinite(loss)),
        "saves": bool(np.allclose(before, again, rtol=1e-4, atol=1e-4 * np.abs(before).max())),
        "graph": graph,
        "removal": removal,
        "why": why[:3],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    if given.one:
        print(json.dumps(measure(given.names[0], given.share)))
        return 0
    heads = ["layers", "asked", "reached", "FLOPs", "params", "error", "train", "save", "graph", "remove"]
    print(LINE.format("architecture", *heads))
    worst, failed = 1.0, []
    for name in given.names or names():
        command = [sys.executable, str(HERE), name, "--share", str(given.share), "--one"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            failed.append(name)
            print(f"{name:20} failed: {(run.stderr.strip().splitlines() or ['killed'])[-1]}", flush=True)
            continue
        row = json.loads(run.stdout.splitlines()[-1])
        reached = row["reached"] / max(row["asked"], 1)
        flops, params = (1 - row[k][1] / max(row[k][0], 1) for k in ("flops", "params"))
        good = row["error"] < 1e-4 and row["trains"] and row["saves"]
        worst = min(worst, reached)
        if not good or reached < 0.95:
            failed.append(name)
        words = [name, row["layers"], row["asked"], f"{reached:.1%}", f"{flops:.1%}", f"{params:.1%}",
                 f"{row['error']:.1e}", *("yes" if row[k] else "NO" for k in ("trains", "saves")),
                 f"{row['graph']:.2f}s", f"{row['removal']:.2f}s"]  # fmt: skip
        print(LINE.format(*words), flush=True)
        for why in row["why"]:
            print(f"{'':20}   {why}", flush=True)
    print(f"least reached {worst:.1%}; below the goal: {', '.join(failed) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
