"""How the dynamic method says what it sees and does: numbers of layers, histograms, and every decision in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from engine.events import Number, number
from engine.running.adaptive.rules import Columns, LayerRule

BINS = 16


def layer_numbers(columns: Columns, rule: LayerRule, delta: float) -> dict[str, Number]:
    """What is shown of a layer at an epoch's end."""
    return {
        "mean_column_norm": number(columns.mean),
        "delta": number(delta),
        "alpha": rule.alpha,
        "beta": rule.beta,
        "threshold": number(rule.alpha * columns.mean),
        "active_columns": float(np.count_nonzero(columns.active)),
        "weights_only": float(rule.weights_only),
        "frozen": float(rule.frozen),
    }


def histogram(columns: Columns, rule: LayerRule) -> dict[str, Any]:
    """The active columns' norms in bins from 0 to the largest, with the mean and the threshold."""
    norms = columns.norms[columns.active]
    top = float(norms.max()) if norms.size and norms.max() > 0 else 1.0
    counts, _ = np.histogram(norms, bins=BINS, range=(0.0, top))
    mean = columns.mean
    return {"top": top, "counts": counts.tolist(), "mean": mean, "threshold": rule.alpha * mean}


def layer_name(key: str) -> str:
    """A kernel's layer as people call it: `dense_1/kernel` is dense_1."""
    return key.removesuffix("/kernel")


def settled_words(event: Mapping[str, Any]) -> str:
    """When, where and how: "epoch 7: layer dense_1 settled (1.4 %), 42 of 300 columns under 0.7 of the mean: ..."."""
    change = "" if event["delta"] is None else f" ({100 * event['delta']:.2g} %)"
    when = "settled" if event["settled"] else "is the steadiest"
    if event["kind"] == "units":
        what = f"{event['count']:,} of {event['of']:,} columns under {event['alpha']:g} of the mean: units removed"
    else:
        what = f"{event['count']:,} of {event['of']:,} weights under {event['alpha']:g} of a mean column's: removed"
    return f"epoch {event['epoch']}: layer {layer_name(event['layer'])} {when}{change}, {what}"


def outcome_words(event: Mapping[str, Any], *, metric: str, recovered: float, verdict: str) -> str:
    """The whole event with how it ended."""
    epochs = event["epochs"]
    after = f"{metric} {event['after']:.3f}"
    if epochs:
        after += f", {recovered:.3f} after {epochs} epoch{'' if epochs == 1 else 's'}"
    return f"{settled_words(event)}; {after}: {verdict}"


def seconds(taken: Sequence[float]) -> float:
    """What an epoch takes at one size of the network, its first left out, which compiles; 0 where nothing is known."""
    return median(taken[1:] or taken) if taken else 0.0


def pace_words(paces: Sequence[Sequence[float]]) -> str:
    """How epochs became shorter with the network; empty where it never became smaller, or none followed."""
    known = [seconds(taken) for taken in paces if taken]
    if len(known) < 2:
        return ""
    return f"an epoch took {known[0]:.2g} s at first, {known[-1]:.2g} s at the end: the network shrank on the way"
