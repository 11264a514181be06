from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine.errors import PruneError
from engine.scopes.base import matches
from engine.scopes.lamp import lamp_scores

SCOPES = ("global", "layer", "erk", "lamp", "neuron")


def network(seed=0, layers=3):
    rng = np.random.default_rng(seed)
    return {f"dense_{i}/kernel": rng.random((int(rng.integers(2, 9)), int(rng.integers(2, 9)))) for i in range(layers)}


def test_global_and_layer_by_hand():
    scores = {"a": np.array([[5.0, 4.0]]), "b": np.array([[1.0], [2.0]])}
    assert {k: v.tolist() for k, v in engine.choose(scores, 0.5).items()} == {
        "a": [[True, True]],
        "b": [[False], [False]],
    }
    layer = engine.choose(scores, 0.5, scope="layer")
    assert {k: v.tolist() for k, v in layer.items()} == {"a": [[True, False]], "b": [[False], [True]]}


def test_ties_are_broken_by_index():
    masks = engine.choose({"b": np.ones((2, 2)), "a": np.ones(3)}, 0.5)
    assert masks["a"].tolist() == [True, True, True]  # 7 - floor(3.5) = 4 stay, first those of the first key
    assert masks["b"].tolist() == [[True, False], [False, False]]


def test_erk_by_hand():
    # 784-300-100-10 at 90 %: 26,620 of 266,200 stay. Raw densities 1084/235200, 400/30000, 110/1000; the last layer
    # would get eps * 0.11 = 1.84 > 1, so it is dense: eps = (26620 - 1000) / (1084 + 400) = 17.2642.
    found = engine.densities([(784, 300), (300, 100), (100, 10)], 0.9)
    eps = 25620 / 1484
    assert found == pytest.approx([eps * 1084 / 235200, eps * 400 / 30000, 1.0])
    assert engine.densities([(3, 3, 16, 32)], 0.75) == [0.25]
    # All kernel dims count: (3 + 3 + 2 + 4) / 72 and (3 + 3 + 4 + 4) / 144.
    conv = engine.densities([(3, 3, 2, 4), (3, 3, 4, 4)], 0.5)
    assert conv == pytest.approx([108 / 26 * 12 / 72, 108 / 26 * 14 / 144])
    assert engine.densities([(4, 4), (2, 2)], 0.0) == [1.0, 1.0]
    assert engine.densities([(4, 4), (2, 2)], 0.25, scope="layer") == [0.75, 0.75]
    with pytest.raises(PruneError, match="depend on the scores"):
        engine.densities([(4, 4)], 0.5, scope="global")


def test_erk_counts_follow_the_densities():
    scores = {f"{i}": np.random.default_rng(i).random(s) for i, s in enumerate([(784, 300), (300, 100), (100, 10)])}
    masks = engine.choose(scores, 0.9, scope="erk")
    assert sum(int(m.sum()) for m in masks.values()) == 26_620
    assert masks["2"].all()
    assert abs(int(masks["0"].sum()) - 25620 / 1484 * 1084) < 1


def test_lamp_by_hand():
    # w^2 = 1, 4, 9: 1/14, 4/13, 9/9.
    assert lamp_scores(np.array([2.0, 1.0, 3.0])) == pytest.approx([4 / 13, 1 / 14, 1])
    assert lamp_scores(np.zeros(3)).tolist() == [0, 0, 0]
    assert lamp_scores(np.array([-np.inf, 0.0, 2.0])).tolist() == [-np.inf, 0.0, 1.0]
    with pytest.raises(PruneError, match="negative"):
        lamp_scores(np.array([-1.0, 1.0]))


def test_lamp_of_a_large_layer_stays_at_most_one():
    scores = np.abs(np.random.default_rng(0).normal(size=(784, 300))).astype(np.float32)
    found = lamp_scores(scores)
    assert found.max() == 1.0
    assert (np.argsort(found.ravel()) == np.argsort(scores.ravel(), kind="stable")).all()


def test_lamp_empties_no_layer():
    scores = {"big": np.random.default_rng(0).random(5000) * 10, "small": np.random.default_rng(1).random(20) * 1e-3}
    assert engine.choose(scores, 0.999, scope="lamp")["small"].sum() >= 1
    assert engine.choose(scores, 0.999, scope="global")["small"].sum() == 0


def test_neuron_keeps_the_same_in_each_column():
    masks = engine.choose({"k": np.random.default_rng(0).random((3, 3, 4, 7))}, 0.3, scope="neuron")
    assert (masks["k"].reshape(36, 7).sum(axis=0) == 36 - 10).all()
    with pytest.raises(PruneError, match="neuron"):
        engine.choose({"k": np.random.default_rng(0).random((4, 7))}, 0.3, scope="neuron", granularity="unit")


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 100), st.integers(0, 1000), st.sampled_from(SCOPES), st.sampled_from(["weight", "block:2x2"]))
def test_counts_are_exact_and_order_does_not_matter(seed, thousandths, scope, granularity):
    scores, sparsity = network(seed), thousandths / 1000
    masks = engine.choose(scores, sparsity, scope=scope, granularity=granularity)
    backwards = engine.choose(dict(reversed(scores.items())), sparsity, scope=scope, granularity=granularity)
    for key in scores:
        assert np.array_equal(masks[key], backwards[key])
    if granularity != "weight":
        return
    total = sum(s.size for s in scores.values())
    cut = {
        "layer": sum(thousandths * s.size // 1000 for s in scores.values()),
        "neuron": sum(thousandths * s.shape[0] // 1000 * s.shape[1] for s in scores.values()),
    }.get(scope, thousandths * total // 1000)
    assert sum(int(m.sum()) for m in masks.values()) == total - cut


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 100),
    st.integers(0, 999),
    st.integers(0, 999),
    st.sampled_from(["global", "layer", "lamp", "neuron"]),
)
def test_sparser_masks_are_nested(seed, one, two, scope):
    low, high = sorted((one, two))
    scores = {k: np.round(v, 1) for k, v in network(seed).items()}  # with ties
    more, less = (engine.choose(scores, s / 1000, scope=scope) for s in (low, high))
    for key in scores:
        assert not (less[key] & ~more[key]).any()


@pytest.mark.parametrize("scope", SCOPES)
def test_what_is_gone_stays_gone(scope):
    scores = network(5)
    before = engine.choose({k: 1 - v for k, v in scores.items()}, 0.4, scope=scope)
    after = engine.choose(scores, 0.6, scope=scope, within=before)
    for key in scores:
        assert not (after[key] & ~before[key]).any()
    if scope in ("global", "layer"):
        plain = engine.choose(scores, 0.6, scope=scope)
        assert sum(m.sum() for m in after.values()) == sum(m.sum() for m in plain.values())


def test_skips_and_overrides():
    scores = network(2)
    masks = engine.choose(scores, 0.5, skip=["dense_2"], per_layer={"dense_1*": 0.25})
    size = {k: s.size for k, s in scores.items()}
    assert masks["dense_2/kernel"].all()
    assert masks["dense_1/kernel"].sum() == size["dense_1/kernel"] - size["dense_1/kernel"] // 4
    assert masks["dense_0/kernel"].sum() == size["dense_0/kernel"] - size["dense_0/kernel"] // 2
    with pytest.raises(PruneError, match="Did you mean"):
        engine.choose(scores, 0.5, skip=["dens_2"])
    with pytest.raises(PruneError, match="no parameter 'skipp'"):
        engine.choose(scores, 0.5, skipp=["dense_2"])


def test_patterns_fit_any_run_of_a_key():
    assert matches("encoder/dense_1/kernel", "dense_1")
    assert matches("encoder/dense_1/kernel", "encoder")
    assert matches("encoder/dense_1/kernel", "encoder/dense*")
    assert matches("encoder/dense_1/kernel", "encoder/dense_1/kernel")
    assert not matches("encoder/dense_10/kernel", "dense_1")


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 12), st.integers(0, 99))
def test_rows_are_chosen_as_by_a_stable_sort(length, rows, keep, seed):
    from engine.scopes.neuron import rows_top, top

    scores = np.random.default_rng(seed).integers(0, 4, (rows, length)).astype(np.float32)
    found = rows_top(scores, min(keep, length))
    assert np.array_equal(found, np.stack([top(row, min(keep, length)) for row in scores]))


def test_single_and_double_precision_rank_alike():
    scores = np.abs(np.random.default_rng(0).normal(size=4000)).round(2).astype(np.float32)
    scores[:5] = -0.0
    assert np.array_equal(lamp_scores(scores), lamp_scores(scores.astype(np.float64)))
