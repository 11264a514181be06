from __future__ import annotations

import math
from fractions import Fraction
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
    assert path(0.99, 2)[0] == Fraction(9, 10)  # 0.01^(1/2) in floating point is a little more than 0.1
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


def unlike_dense():
    x = keras.Input((9, 9, 4))
    h = L.DepthwiseConv2D(3, depth_multiplier=2)(L.Conv2DTranspose(6, 3)(x))
    h = L.Reshape((-1, 16))(L.SeparableConv2D(16, 3)(h))
    return keras.Model(x, L.GRU(3)(L.MultiHeadAttention(2, 4)(h, h)))


@pytest.mark.parametrize(
    "how", [{"scope": "neuron"}, {"granularity": "2:4"}, {"granularity": "block:4x1"}, {"scope": "erk"}]
)
def test_scores_carry_the_axes_of_their_kernels(how):
    """`choose(score(...))` reads transposed, depthwise and attention kernels as `prune` does."""
    model = unlike_dense()
    wanted = engine.choose(engine.score(model, "magnitude"), 0.5, **how)
    masks = engine.prune(model, sparsity=0.5, **how).arrays()
    assert all(np.array_equal(masks[key], wanted[key]) for key in wanted)


def test_what_stays_whole_is_said():
    model = unlike_dense()
    assert engine.prune(model, sparsity=0.5).skipped == {}
    masks = engine.prune(model, granularity="2:4")
    assert set(masks.skipped) == {k for k in masks.arrays() if "depthwise" in k}
    assert all("one input channel" in why for why in masks.skipped.values())
    rows = np.random.default_rng(0).normal(size=(2, 9, 9, 4)).astype("float32")
    unseen = engine.prune(model, rows, criterion="activation", sparsity=0.5).skipped
    assert {key.rpartition("/")[2] for key in unseen} == {"recurrent_kernel", "pointwise_kernel"}
    units = engine.prune(network(), criterion="l2_norm", granularity="unit", sparsity=0.5).skipped
    assert [why.partition("'")[2] for why in units.values()] == ["s activation mixes its units"]  # the softmax


@pytest.mark.parametrize("iterations", [0, -1, 2.5, True, "3"])
def test_iterations_are_a_whole_number(iterations):
    with pytest.raises(PruneError, match="iterations must be a whole number"):
        engine.prune(network(), sparsity=0.5, iterations=iterations)


def test_another_sparsity_than_the_patterns():
    with pytest.raises(PruneError, match=r"fixes the sparsity at 0\.75"):
        engine.prune(network(), granularity="1:4", sparsity=0.5)
    with pytest.raises(PruneError, match="not said"):
        engine.prune(network())
    masks = engine.prune(network(8), granularity="1:4", iterations=3)
    assert all(m[:4].sum(axis=0).tolist() == [1] * m.shape[1] for m in masks.arrays().values())
