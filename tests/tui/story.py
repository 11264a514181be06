"""A run as a journal tells it: digits, a small MLP, gradual pruning to 90 %, fine-tuning. All numbers by formula."""

from __future__ import annotations

import math
from typing import Any

from engine.events import (
    Counts,
    Decided,
    EpochEnded,
    Finished,
    LayersSeen,
    LayerState,
    MasksChanged,
    Measured,
    Message,
    Noted,
    PhaseBegan,
    Progress,
    Result,
    Saved,
    Started,
)

SHAPES = {"dense/kernel": (64, 300), "dense_1/kernel": (300, 100), "output/kernel": (100, 10)}
SHARES = {"dense/kernel": 1.02, "dense_1/kernel": 1.0, "output/kernel": 0.55}
BIASES = 410
START = 1_795_345_331.0  # a Sunday in November, 2026
RECIPE: dict[str, Any] = {
    "schema": 1,
    "name": "gradual-global",
    "title": "Gradual magnitude pruning, one threshold",
    "data": "digits",
    "model": {"name": "mlp", "hidden": [300, 100]},
    "train": {"epochs": 12, "batch_size": 64, "optimizer": {"name": "adam", "learning_rate": 0.001}},
    "prune": {"criterion": "magnitude", "granularity": "weight", "scope": "global", "target": {"sparsity": 0.9}},
    "seed": 0,
}


def layers(sparsity: float) -> tuple[LayerState, ...]:
    return tuple(
        LayerState(
            key=key, shape=shape, weights=math.prod(shape), units=shape[1], units_kept=shape[1],
            kept=math.prod(shape) - int(min(0.99, sparsity * SHARES[key]) * math.prod(shape)),
        )
        for key, shape in SHAPES.items()
    )  # fmt: skip


def counts(sparsity: float) -> Counts:
    rows = layers(sparsity)
    weights, kept = sum(r.weights for r in rows), sum(r.kept for r in rows)
    return Counts(
        units=400, units_kept=400, weights=weights, weights_kept=kept,
        parameters=weights + BIASES, parameters_kept=kept + BIASES,
    )  # fmt: skip


def cubic(epoch: int) -> float:
    return 0.9 * (1 - (1 - min(1.0, max(0.0, (epoch - 1) / 8))) ** 3)


def measurement(*, kept: int, accuracy: float, packed: int) -> dict[str, Any]:
    return {
        "counts": {"parameters": 49_610, "nonzero": kept, "bytes_raw": 198_440, "bytes_compressed": packed},
        "metric": {"name": "accuracy", "direction": "max", "value": accuracy}, "top5": 0.999, "loss": 0.09,
        "flops": 98_400, "effective_flops": 2 * kept,
        "latency": [{"batch_size": 1, "median": 0.31}, {"batch_size": 64, "median": 0.62}],
    }  # fmt: skip


def story(*, until: str = "done", name: str = "gradual-global") -> list[Message]:
    """The messages of the run up to a point: `compiling`, `dense`, `pruning`, `failed` or `done`."""
    seq, now = 0, START
    out: list[Message] = []

    def say(event: type[Any], wait: float = 0.5, **fields: Any) -> None:
        nonlocal seq, now
        seq, now = seq + 1, now + wait
        out.append(event(seq=seq, time=now, **fields))

    recipe = {**RECIPE, "name": name}
    say(Started, run=f"2026-11-22T14-02-11-{name}", recipe=recipe, epochs=15, target="sparsity", target_value=0.9,
        environment={"tensorflow": "2.21.0"})  # fmt: skip
    say(PhaseBegan, phase="loading", words="digits: 1,078 / 359 / 360 examples")
    say(LayersSeen, layers=layers(0), counts=counts(0))
    say(PhaseBegan, phase="compiling", epochs=8, words="compiling the training step")
    if until == "compiling":
        return out
    say(PhaseBegan, phase="training", epochs=8, words="training the dense control", control=True)
    for epoch in range(1, 9):
        out.append(
            Progress(
                phase="training", epoch=epoch, epochs=8, step=9, steps=17, seconds_left=20 - epoch, share=epoch / 23
            )
        )
        accuracy = 0.978 - 0.5 * math.exp(-epoch / 1.5)
        say(EpochEnded, epoch=epoch, phase="training", loss=1.6 * math.exp(-epoch / 2) + 0.05, metric=accuracy + 0.01,
            validation=accuracy, counts=counts(0), seconds=0.5, control=True)  # fmt: skip
    if until == "dense":
        return out
    say(Measured, which="dense", values=measurement(kept=49_610, accuracy=0.975, packed=184_000))
    say(PhaseBegan, phase="pruning", epochs=12, words="pruning while training, from epoch 2 to 9")
    for epoch in range(1, 13):
        gone = cubic(epoch)
        if 1 < epoch < 10:
            say(MasksChanged, 0.2, epoch=epoch, step=17 * epoch, before=cubic(epoch - 1), after=gone, target=gone,
                layers=layers(gone), counts=counts(gone))  # fmt: skip
        accuracy = 0.980 - 0.5 * math.exp(-epoch / 1.5) - 0.012 * gone**4
        say(EpochEnded, epoch=epoch, phase="pruning", loss=1.6 * math.exp(-epoch / 2) + 0.06 + 0.05 * gone**3,
            metric=accuracy + 0.012, validation=accuracy, sparsity=gone, counts=counts(gone), seconds=0.5)  # fmt: skip
        out.append(Progress(phase="pruning", epoch=epoch, epochs=12, step=17, steps=17, seconds_left=15 - epoch,
                            sparsity=gone, share=(8 + epoch) / 23))  # fmt: skip
        if until == "pruning" and epoch == 7:
            return out
        if until == "failed" and epoch == 7:
            words = "the worker was killed by signal 9 (SIGKILL); out of memory?"
            say(Finished, state="failed", words=words, where="while pruning",
                todo="What it had is kept; `prune-tui resume` goes on from its last checkpoint.")  # fmt: skip
            return out
    say(
        Decided,
        epoch=12,
        layer="dense_1/kernel",
        kind="weights",
        words="dense_1 recovered: 0.9 of its weights may go",
        verdict="accepted",
    )
    say(PhaseBegan, phase="recovering", epochs=3, words="fine-tuning for 3 epochs")
    for epoch in range(13, 16):
        say(EpochEnded, epoch=epoch, phase="recovering", loss=0.104 - 0.002 * epoch, metric=0.991,
            validation=0.9721 + 0.0003 * (epoch - 13), sparsity=0.9, counts=counts(0.9), seconds=0.5)  # fmt: skip
    say(PhaseBegan, phase="measuring", words="measuring, dense and pruned in turn")
    pruned = measurement(kept=5_370, accuracy=0.9694, packed=18_900)
    pruned["latency"] = [
        {"batch_size": 1, "median": 0.30, "speedup": 1.02},
        {"batch_size": 64, "median": 0.61, "speedup": 1.01},
    ]
    pruned |= {"theoretical_speedup": 9.2, "comparison": {"agreement": 0.983}}
    say(Measured, which="pruned", values=pruned)
    say(
        Noted,
        words="the sparse kernels are not faster here: this CPU multiplies dense ones as quickly",
        level="warning",
    )
    say(
        Result,
        name="baseline",
        value=[{"percentile": 50, "weight": 0.978, "unit": 0.971}, {"percentile": 90, "weight": 0.969, "unit": 0.41}],
    )
    say(Saved, file="model.keras", bytes=402_113, what="the pruned network, 402 kB")
    say(Finished, state="done")
    return out
