"""Sweeps and library users run recipe after recipe in one process: one that is over leaves no graph, no data behind."""

from __future__ import annotations

import gc

import pytest
import tensorflow as tf

from engine.recipe_reading import recipe_from
from engine.running.executing import execute
from engine.yaml12 import parse

SMALL = """
name: brief
data: {name: digits, limit: 70}
model: {name: mlp, hidden: [8]}
train: {epochs: 1, batch_size: 32, optimizer: OPTIMIZER}
prune: {target: {sparsity: 0.5}, repair: {name: fine_tune, epochs: 1}}
measure: {latency: null}
"""


def graphs() -> int:
    gc.collect()
    return sum(isinstance(one, tf.__internal__.FuncGraph) for one in gc.get_objects())


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_run_that_is_over_leaves_no_graph_behind(optimizer: str) -> None:
    recipe = recipe_from(parse(SMALL.replace("OPTIMIZER", optimizer)))
    execute(recipe, lambda _: None)
    before = graphs()
    execute(recipe, lambda _: None)
    assert graphs() == before
