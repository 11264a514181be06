from __future__ import annotations

import math
from itertools import pairwise

import keras
import numpy as np
import pytest

import engine
from engine.errors import PruneError
from engine.scoring.context import context
from engine.scoring.pruning import collapsed, find_masks, path

L = keras.layers


def network(width=20, depth=3, **dense):
    hidden = [L.Dense(width, activation="relu", **dense) for _ in range(depth)]
    return keras.Sequential([keras.Input((6,)), *hidden, L.Dense(3, activation="softmax", **dense)])


def test_prune_is_score_choose_attach(digits):
    model = network()
    wanted = engine.choose(engine.score(model, "snip", digits), 0.7)
    before = model.get_weights()
    masks = engine.prune(model, digits, criterion="snip", sparsity=0.7)
    for key, mask in masks.arrays().items():
        assert np.array_equal(mask, wanted[key])
    total = sum(m.size for m in wanted.values())
    assert masks.sparsity() == pytest.approx(math.floor(0.7 * total) / total)
    for old, new, layer in zip(before[::2], model.get_weights()[::2], model.layers, strict=True):
        assert np.array_equal(new, old * wanted[layer.kernel.path])


def test_path_of_densities():
    assert path(0.99, 1) == [0.99] or float(path(0.99, 1)[0]) == 0.99
    assert [float(s) for s in path(0.99, 2)] == pytest.approx([0.9, 0.99])
    assert [float(1 - s) for s in path(0.9, 60)] == pytest.approx(
        [math.exp(t / 60 * math.log(0.1)) for t in range(1, 61)]
    )


def test_synflow_survives_where_others_empty_a_layer():
    """methods.md §6: SynFlow keeps a path at compressions where SNIP, GraSP and magnitude empty a whole layer."""
    rng = np.random.default_rng(1)
    data = rng.normal(size=(30, 6)).astype("float32"), np.repeat([0, 1, 2], 10)
    model = network(width=60, depth=5)
    total = sum(w.size for w in model.get_weights()[::2])
    sparsity = 1 - 14 / total  # six kernels, fourteen weights
    scene = context(model, data)
    synflow = find_masks(scene, "synflow", sparsity)
    assert not collapsed(synflow)
    assert sum(int(m.sum()) for m in synflow.values()) == total - math.floor(sparsity * total)
    alive = np.ones(6, bool)
    for mask in synflow.values():  # what is kept is a path from an input to an output
        alive = mask[alive].any(axis=0)
    assert alive.any()
    for name in ("snip", "grasp", "magnitude"):
        assert collapsed(find_masks(scene, name, sparsity)), name


def test_iterations_score_the_masked_net_anew(digits):
    model = network()
    steps = []
    scene = context(model, digits)
    found = find_masks(scene, "iterative_snip", 0.9, iterations=3, on_step=lambda t, n, m: steps.append((t, n, m)))
    assert [(t, n) for t, n, _ in steps] == [(1, 3), (2, 3), (3, 3)]
    masks = None
    for share in path(0.9, 3):
        masks = engine.choose(engine.score(masked(model, masks), "snip", digits), share, within=masks)
    for key, mask in masks.items():
        assert np.array_equal(found[key], mask)
    for (_, _, before), (_, _, after) in pairwise(steps):
        assert all(not (after[k] & ~before[k]).any() for k in after)


def masked(model, masks):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for a, b in zip(model.layers, copy.layers, strict=True):
        assert a.kernel.shape == b.kernel.shape
        if masks:
            b.kernel.assign(b.kernel * masks[a.kernel.path])
    keys = {b.kernel.path: a.kernel.path for a, b in zip(model.layers, copy.layers, strict=True)}
    assert list(keys) == list(keys.values())
    return copy


def test_force_may_bring_weights_back(digits):
    model = network(width=40)
    steps = []
    scene = context(model, digits)
    find_masks(scene, "force", 0.95, iterations=6, on_step=lambda *s: steps.append(s[2]))
    assert any((b[k] & ~a[k]).any() for a, b in pairwise(steps) for k in a)
    total = sum(m.size for m in steps[-1].values())
    assert sum(int(m.sum()) for m in steps[-1].values()) == total - math.floor(0.95 * total)


def test_the_methods_own_iterations(digits):
    count = []
    find_masks(context(network(width=4)), "synflow", 0.5, on_step=lambda *s: count.append(s))
    find_masks(context(network(width=4)), "magnitude", 0.5, on_step=lambda *s: count.append(s))
    assert len(count) == 101
    assert len(engine.prune(network(width=4), criterion="synflow", sparsity=0.5, iterations=2).arrays()) == 4


def test_parameters_find_their_part(digits):
    model = network()
    masks = engine.prune(
        model,
        digits,
        criterion="grasp",
        temperature=10.0,
        granularity="block:2x2",
        pooling="max",
        sparsity=0.5,
        skip=["dense"],
    )
    assert masks.arrays()[model.layers[0].kernel.path].all()
    with pytest.raises(PruneError, match="no parameter 'heat'"):
        engine.prune(network(), criterion="magnitude", sparsity=0.5, heat=3)
    with pytest.raises(PruneError, match="from 0 to 1"):
        engine.prune(network(), criterion="magnitude", sparsity=90)
    with pytest.raises(PruneError, match="scores units"):
        engine.prune(network(), criterion="l1_norm", sparsity=0.5)


def test_units_go_with_bias_and_output_stays(digits):
    model = network(width=8, bias_initializer="ones")
    masks = engine.prune(model, criterion="l2_norm", granularity="unit", scope="layer", sparsity=0.5).arrays()
    first, last = model.layers[0], model.layers[-1]
    norms = np.linalg.norm(first.kernel.numpy() + 0, axis=0)
    assert (norms > 0).sum() == 4
    assert np.array_equal(masks[first.bias.path], norms > 0)
    assert np.array_equal(masks[first.kernel.path].all(axis=0), norms > 0)
    assert last.kernel.path not in masks or masks[last.kernel.path].all()


def test_n_of_m_of_a_model():
    model = network(width=8)
    masks = engine.prune(model, granularity="2:4", sparsity=0.5).arrays()
    assert masks[model.layers[1].kernel.path].reshape(2, 4, 8).sum(axis=1).tolist() == [[2] * 8] * 2
