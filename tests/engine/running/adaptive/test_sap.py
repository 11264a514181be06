"""SAP in a run: what is cut is what `engine.sap_keep` says, and everything left goes back to where it began."""

from __future__ import annotations

import math

import numpy as np
import pytest

import engine
from engine.errors import PruneError
from engine.events import Decided, EpochEnded, MasksChanged, PhaseBegan, Result
from engine.keys import variable_keys
from engine.running.adaptive import sap
from engine.targets.pq_index import PqIndex


def sentence(scope="global", **target):
    return {
        "criterion": "magnitude",
        "scope": scope,
        "schedule": {"name": "iterative", "rewind": "init"},
        "target": {"name": "pq_index", "p": 1.0, "q": 2.0, **target},
    }


def test_rounds_cut_what_the_index_says_and_rewind(play, monkeypatch):
    cuts = []
    plain = sap._cut

    def watched(run, index):
        weights, masks = sap._kernels(run)
        every = np.concatenate([w[masks[k]] for k, w in weights.items()])
        plain(run, index)
        initial = run.arrays["initial"]
        cuts.append((engine.sap_keep(every, 1.0, 2.0), engine.pq_index(every, 1.0, 2.0), run.counts(), initial))

    monkeypatch.setattr(sap, "_cut", watched)
    begun = []
    plain_train = sap.train

    def trained(run, **keywords):
        begun.append({k: v.numpy().copy() for k, v in variable_keys(run.model).items()} | {"masks": run.mask_arrays()})
        plain_train(run, **keywords)

    monkeypatch.setattr(sap, "train", trained)
    ran = play(sentence(rounds=3), epochs=2)
    assert len(cuts) == 3
    for (keep, _, counts, initial), values in zip(cuts, begun, strict=True):
        assert counts.weights_kept == keep
        masks = values.pop("masks")
        for key, value in values.items():  # biases too
            assert np.array_equal(value, initial[key] * masks.get(key, 1))
    rows = [e.value for e in ran.of(Result) if e.name == "rounds"][-1]
    assert [r["kept"] for r in rows[:-1]] == [c[0] for c in cuts]
    assert [r["pq_index"] for r in rows[:-1]] == pytest.approx([c[1] for c in cuts])
    assert [e.after for e in ran.of(MasksChanged)] == pytest.approx([1 - c[0] / c[2].weights for c in cuts])
    # Live in every epoch, the dense one's included, for all and for each layer.
    for event in ran.of(EpochEnded):
        assert 0 < event.series["pq_index"] < 1
        assert {"pq_index dense_1", "pq_index output"} <= set(event.series)
    assert ran.session.layers[0].numbers["pq_index"] == pytest.approx(
        engine.pq_index(ran.run.model.weights[0].numpy()[ran.run.model.weights[0].numpy() != 0], 1.0, 2.0), rel=1e-5
    )
    assert "at least" in ran.of(Decided)[0].words


@pytest.mark.parametrize("scope", ["layer", "neuron"])
def test_scopes(play, scope):
    ran = play(sentence(scope, rounds=1), epochs=1)
    assert 0 < ran.session.sparsity < 1
    assert [e.words for e in ran.of(PhaseBegan) if "round" in e.words] == ["round 1 of 1: what the PQ Index allows"]


def test_no_other_scope_or_granularity(play):
    with pytest.raises(PruneError, match="no scope lamp"):
        play(sentence("lamp", rounds=1), epochs=1)
    with pytest.raises(PruneError, match="single weights"):
        play({**sentence(rounds=1), "granularity": "unit"}, epochs=1)


def test_baselines_cut_a_fifth_of_what_is_left():
    rng = np.random.default_rng(0)
    first = {"a": rng.normal(size=(7, 5)), "b": rng.normal(size=(5, 3))}
    later = {k: rng.normal(size=v.shape) for k, v in first.items()}
    lottery = PqIndex(baseline="lottery").step(first)
    assert lottery.kept[""] == 50 - math.ceil(0.2 * 50) == 40
    again = PqIndex(baseline="lottery").step(later, lottery.masks)
    assert again.kept[""] == 40 - 8
    shot = PqIndex(baseline="one_shot").step(later, lottery.masks, ranked_by=first)
    assert shot.kept[""] == 32
    # Ranked by the first trained weights, whatever they have become: the 32 largest of the first.
    order = np.sort(np.abs(np.concatenate([first[k][shot.masks[k]] for k in first])))
    assert order[0] >= np.sort(np.abs(np.concatenate([v.ravel() for v in first.values()])))[::-1][31] - 1e-12
    assert PqIndex(baseline="lottery").keep(1, 0.0) == 1
