from __future__ import annotations

import math

import numpy as np
import pytest

from engine import catalog
from engine.errors import PruneError
from engine.pq import pq_index, sap_keep
from engine.registry import make
from engine.targets.base import Budget, Target
from engine.targets.column_norm import ColumnNorm, column_norms, fading_units, fading_weights
from engine.targets.epsilon import Epsilon
from engine.targets.pq_index import PqIndex
from engine.targets.search import Search


def test_every_target_answers():
    for name in catalog.entries("target"):
        made = make("target", name)
        assert isinstance(made, Target)
        assert (made.final() is not None) == (name == "sparsity")
    for name in ("accuracy_drop", "flops", "size", "latency"):
        assert isinstance(make("target", name), Budget)
    assert make("target", "sparsity", {"sparsity": 0.9}).final() == 0.9


def test_budgets():
    drop = make("target", "accuracy_drop", {"accuracy_drop": 0.01})
    assert drop.within(0.98, 0.97)  # in binary floats 0.98 - 0.97 is 0.010000000000000009
    assert not drop.within(0.98, 0.9699)
    assert drop.within(0.9, 0.95)
    assert make("target", "flops", {"flops": 0.25}).within(1000, 250)
    assert not make("target", "size", {"size": 0.25}).within(1000, 251)


def test_search_finds_the_largest_good_sparsity():
    search, tried = Search(trials=20), 0
    while not search.done:
        tried += 1
        search = search.tell(good=search.ask() <= 0.8371)
    assert search.best == pytest.approx(0.8371, abs=2e-4)
    assert search.best <= 0.8371
    assert tried <= 14
    falling = Search(trials=20, rising=False)
    while not falling.done:
        falling = falling.tell(good=falling.ask() >= 0.3)
    assert falling.best == pytest.approx(0.3, abs=2e-4)
    short = Search(trials=1).tell(good=False)
    assert (short.done, short.best) == (True, None)


def test_epsilon_takes_the_fewest_pivots():
    assert Epsilon(0.1).size(np.array([-10.0, 5.0, 1.0, 0.5])) == 2
    assert Epsilon(0.0).size(np.array([10.0, 5.0, 0.0])) == 2
    assert Epsilon(0.01).size(np.array([10.0, 5.0])) == 2
    assert Epsilon(0.1).size(np.zeros(3)) == 0


def test_column_norm_by_hand():
    matrix = np.array([[3.0, 0.3, 6.0], [4.0, 0.4, 8.0]])
    norms = column_norms(matrix)
    assert norms == pytest.approx([5, 0.5, 10])
    active = np.array([True, True, True])
    # mu = 15.5 / 3 = 5.17: at alpha 0.5 only 0.5 stands out; at 1.0 also 5, and beta 0.3 of 3 columns is none, 0.7 two.
    assert fading_units(norms, active, alpha=0.5, beta=0.4).tolist() == [1]
    assert fading_units(norms, active, alpha=1.0, beta=0.7).tolist() == [1, 0]
    assert fading_units(norms, active, alpha=1.0, beta=0.3).tolist() == []
    assert fading_units(norms, active, alpha=0.01, beta=0.5).tolist() == []
    # Without column 1: mu = 7.5.
    assert fading_units(norms, np.array([True, False, True]), alpha=0.7, beta=0.5).tolist() == [0]


def test_fading_weights_by_hand():
    matrix = np.array([[3.0, 0.3, 6.0], [4.0, 0.4, 8.0]])
    mask = np.ones((2, 3), bool)
    # threshold = 1 * (15.5 / 3) / sqrt(2) = 3.65: 3, 0.3 and 0.4 are below; beta lets two go.
    gone = fading_weights(matrix, mask, alpha=1.0, beta=0.4)
    assert gone.astype(int).tolist() == [[0, 1, 0], [0, 1, 0]]
    assert fading_weights(matrix, mask, alpha=1.0, beta=0.5).sum() == 3
    assert not fading_weights(matrix, np.zeros((2, 3), bool), alpha=1.0, beta=1.0).any()
    # What is gone does not count, whatever stands there: norms 4 and 10, fan 1.5.
    kept = np.array([[False, False, True], [True, False, True]])
    assert fading_weights(matrix, kept, alpha=1.2, beta=0.9).astype(int).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_tolerance_is_never_finer_than_the_noise():
    target = ColumnNorm(tolerance=0.005)
    assert target.allowed(0.9, 100) == pytest.approx(math.sqrt(0.09 / 100))
    assert target.allowed(0.98, 10_000) == 0.005
    assert target.allowed(1.0, 10) == 0.005


def test_sap_step_cuts_the_smallest_of_its_scope():
    rng = np.random.default_rng(0)
    weights = {"a": rng.normal(size=(20, 10)), "b": rng.laplace(size=(10, 5)) * 3}
    masks = {k: rng.random(w.shape) < 0.8 for k, w in weights.items()}
    target = PqIndex()
    for scope in ("global", "layer", "neuron"):
        step = target.step(weights, masks, scope=scope)
        for key in weights:
            assert not (step.masks[key] & ~masks[key]).any()
            assert step.kept[key] == step.masks[key].sum()
    layer = target.step(weights, masks, scope="layer")
    for key, w in weights.items():
        keep = sap_keep(w[masks[key]])
        assert layer.kept[key] == keep
        assert np.abs(w[layer.masks[key]]).min() >= np.sort(np.abs(w[masks[key]]))[-keep]
        assert layer.index[key] == pytest.approx(pq_index(w[masks[key]]))
    whole = np.concatenate([w[masks[k]] for k, w in weights.items()])
    assert target.step(weights, masks).kept[""] == sap_keep(whole)
    assert target.step(weights, masks).index[""] == pytest.approx(pq_index(whole))
    columns = target.step(weights, masks, scope="neuron").masks["a"]
    for j in range(10):
        assert columns[:, j].sum() == sap_keep(weights["a"][masks["a"][:, j], j])
    with pytest.raises(PruneError, match="no scope erk"):
        target.step(weights, scope="erk")
