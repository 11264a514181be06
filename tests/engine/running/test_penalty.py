"""Network slimming's penalty is part of training: with it the scales shrink, and the dense model is another one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from engine.recipe import Recipe
from engine.recipe_reading import recipe_from
from engine.running.control import Control
from engine.running.dense import cache_key
from engine.running.executing import execute
from engine.running.penalty import penalised, training_term
from engine.yaml12 import parse

SMALL = """
name: slim
data: {name: digits, limit: 128}
model: {name: cnn, filters: [4, 4]}
train: {epochs: 2, batch_size: 32, optimizer: {name: sgd, learning_rate: 0.05, momentum: 0.0}}
prune:
  criterion: {name: bn_scale, penalty: 0.5}
  granularity: unit
  schedule: one_shot
  target: {sparsity: 0.25}
measure: {latency: null}
"""


def recipe(**overrides: Any) -> Recipe:
    return recipe_from(parse(SMALL), overrides={k.replace("__", "."): v for k, v in overrides.items()})


def scales(model: keras.Model) -> float:
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    return float(sum(np.abs(n.gamma.numpy()).sum() for n in norms))


def test_a_run_of_bn_scale_trains_with_its_penalty() -> None:
    with_it, without = (
        execute(recipe(prune__criterion={"name": "bn_scale", "penalty": p}), lambda _: None, control=Control())
        for p in (0.5, 0.0)
    )
    assert without.dense is not None
    assert with_it.dense is not None
    # 8 steps of 0.05 pull each of the 8 scales down by 0.2 in all, whatever else the loss does to them.
    assert scales(without.dense) - scales(with_it.dense) == pytest.approx(8 * 8 * 0.05 * 0.5, rel=0.3)


def test_the_penalty_is_part_of_what_makes_a_dense_model() -> None:
    from engine.running.context import Run

    keys = []
    for criterion in ({"name": "bn_scale", "penalty": 0.5}, {"name": "bn_scale", "penalty": 0.1}, "l1_norm", "l2_norm"):
        run = Run(recipe(prune__criterion=criterion), lambda _: None, folder=None, control=Control())
        keys.append(cache_key(run))
        run.model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
        term = training_term(run)
        assert term is training_term(run)  # what was compiled with it can be used again
        own = penalised(run.recipe)
        assert (term is None) is (own is None)
        if term is not None and own is not None:
            assert float(term(None, None, None)) == pytest.approx(own * 4)
    assert keys[2] == keys[3]
    assert len(set(keys)) == 3
