"""What decides by itself finds something to prune on every built-in model, ends, and stays within what may be lost."""

from __future__ import annotations

import pytest

from engine import catalog
from engine.events import Decided, Finished

SMALL = {
    "baseline_mlp": {},
    "cnn": {"filters": [4, 8], "dense": [16]},
    "lenet5": {},
    "lenet_300_100": {},
    "mlp": {"hidden": [16]},
    "mobilenet_small": {"width": 0.12},
    "resnet20": {"blocks": 1, "width": 0.25},
    "vgg11": {"width": 0.05},
    "vgg16": {"width": 0.05},
}
SLOW = {"baseline_mlp", "mobilenet_small", "resnet20", "vgg11", "vgg16"}  # to train, or to compile


def test_no_model_is_left_out():
    assert set(SMALL) == set(catalog.entries("model")) - {"file"}


@pytest.mark.parametrize("name", SMALL)
def test_the_mean_column_norm_finds_something(play, name):
    schedule = {"name": "dynamic", "patience": 1, "tau": 0.1, "max_wait": 2}
    prune = {"criterion": "column_norm", "scope": "layer", "schedule": schedule, "target": "column_norm"}
    ran = play(prune, epochs=8 if name in SLOW else 16, model={"name": name, **SMALL[name]})
    memory = ran.run.memory["dynamic"]
    assert ran.of(Finished)[-1].state == "done"
    assert any(d.verdict == "accepted" for d in ran.of(Decided))
    assert ran.session.sparsity > 0.01
    assert ran.session.pruned["validation"] >= memory["first"] - memory["drop"] - 1e-6


@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_a_budget_finds_something(play, name):
    prune = {
        "criterion": "magnitude",
        "scope": "global",
        "schedule": "one_shot",
        "target": {"name": "accuracy_drop", "accuracy_drop": 0.05, "trials": 3},
        "repair": {"name": "fine_tune", "epochs": 1},
    }
    ran = play(prune, epochs=4, model={"name": name, **SMALL[name]})
    assert ran.session.sparsity > 0
    assert ran.session.pruned["validation"] >= ran.session.dense["validation"] - 0.05 - 1e-6
