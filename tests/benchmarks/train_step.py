"""Masked training as a run does it, beside plain Keras `model.fit` of the same model without masks. Asked: at most 1.03
of its time for the CNN, at most 0.6 for LeNet-300-100.

    python tests/benchmarks/train_step.py [--epochs 2] [--repeats 5] [--examples 6400]

Random data of MNIST's shape, batch 64, Adam. Each repeat trains a few epochs in every way, in turns, and the minima
are compared: on a shared machine medians are noise. Compiling (the first repeat of each) is told apart. The loop is
that of `engine.running.training`: masks at 90 % on every kernel but the last, executions of about 0.3 s.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
BATCH = 64
EXECUTION_SECONDS = 0.3


def fit(model, x, y, epochs):
    """Plain Keras: gives a function that trains once."""
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return lambda: model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)


def masked(model, x, y, epochs, *, xla):
    """A run's way: masks attached, the compiled loop of steps, cut as a run cuts it."""
    import tensorflow as tf

    import engine
    from engine.layout import kernels
    from engine.masks import attach
    from engine.recipe import Part, Train
    from engine.running.feeding import Steps
    from engine.running.optimizing import Fresh
    from engine.running.seeding import order
    from engine.running.task import task_of

    held = list(kernels(model).items())[:-1]
    masks = attach(model, engine.choose({k: abs(v.variable.numpy()) for k, v in held}, 0.9))
    settings = Train(optimizer=Part("adam", {"learning_rate": 1e-3}))
    fresh = Fresh(settings, model.trainable_variables)
    masks.watch(fresh.optimizer)
    steps = Steps(model, fresh, task_of(model, classes=10), x, y, batch_size=BATCH, xla=xla)
    rate = [0.0]

    def train():
        fresh.begin(lambda _: 1e-3, steps.per_epoch * epochs)
        for epoch in range(epochs):
            rows = tf.constant(order(steps.count, seed=0, phase="train", epoch=epoch))
            at = 0
            while at < steps.per_epoch:
                end = min(steps.per_epoch, at + max(1, int(rate[0] * EXECUTION_SECONDS)))
                begun = time.perf_counter()
                steps.run(rows, at, end)
                now = (end - at) / (time.perf_counter() - begun)
                # As in a run: the first call compiles and says nothing, then the rate is followed.
                rate[0] = 20.0 if not rate[0] else now if rate[0] == 20.0 else (rate[0] + now) / 2
                at = end

    train.masks = masks
    return train


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--examples", type=int, default=6400)
    asked = parser.parse_args()

    import numpy as np

    from engine.measurement.measuring import device_name, threads
    from engine.models import build
    from engine.running.feeding import use_xla

    rng = np.random.default_rng(0)
    x = rng.random((asked.examples, 28, 28, 1), dtype=np.float32)
    y = rng.integers(0, 10, asked.examples).astype(np.int32)
    print(f"{device_name()}, {threads()} threads; {asked.examples} examples, batch {BATCH}, {asked.epochs} epochs a go")
    print(f"{'model':16} {'way':28} {'first':>8} {'best':>8} {'a step':>9} {'ratio':>6}  asked")
    for name, most in (("lenet_300_100", 0.6), ("cnn", 1.03)):

        def fresh(name=name):
            return build(name, x.shape[1:], 10, seed=0)

        ways = {"plain fit": fit(fresh(), x, y, asked.epochs)}
        ways["masked, a short run"] = masked(fresh(), x, y, asked.epochs, xla=use_xla(fresh(), steps_ahead=100))
        if use_xla(fresh(), steps_ahead=10_000):
            ways["masked, a long run (XLA)"] = masked(fresh(), x, y, asked.epochs, xla=True)
        times = {way: [] for way in ways}
        for _ in range(asked.repeats + 1):
            for way, train in ways.items():
                begun = time.perf_counter()
                train()
                times[way].append(time.perf_counter() - begun)
        plain = min(times["plain fit"][1:])
        steps = -(-asked.examples // BATCH) * asked.epochs
        for way, (first, *rest) in times.items():
            ratio = "" if way == "plain fit" else f"{min(rest) / plain:.2f}"
            goal = "" if way == "plain fit" else f"<= {most}"
            cells = f"{first:>7.2f}s {min(rest):>7.2f}s {1000 * min(rest) / steps:>7.2f}ms"
            print(f"{name:16} {way:28} {cells} {ratio:>6}  {goal}", flush=True)
        for way, train in ways.items():
            if way != "plain fit":
                assert abs(train.masks.sparsity() - 0.9) < 1e-3, "the masks are still what they were"


if __name__ == "__main__":
    main()
