"""The dynamic method in small runs: decisions in words, accepted states, roll-backs, resume."""

from __future__ import annotations

import re

import numpy as np
import pytest

from engine.errors import PruneError
from engine.events import Decided, EpochEnded, Finished, LayersSeen, MasksChanged, Result
from engine.layout import kernels
from engine.registry import make
from engine.schedules.dynamic import change


def sentence(target=None, schedule=None, **more):
    return {
        "criterion": "column_norm",
        "scope": "layer",
        "schedule": {"name": "dynamic", **(schedule or {})},
        "target": {"name": "column_norm", **(target or {})},
        **more,
    }


def test_it_prunes_within_the_tolerance_and_says_so(play):
    ran = play(sentence(), epochs=24)
    memory = ran.run.memory["dynamic"]
    said = ran.of(Decided)
    assert ran.session.sparsity > 0.2
    assert {d.verdict for d in said} >= {"accepted", "found"}
    for decision in said:
        if decision.verdict == "accepted":
            assert decision.numbers["recovered"] >= memory["first"] - memory["drop"] - 1e-9
    # What is returned is the last accepted state.
    assert ran.session.pruned["validation"] == pytest.approx(memory["accepted"], abs=1e-6)
    assert memory["accepted"] >= memory["first"] - memory["drop"] - 1e-9
    assert ran.session.pruned["validation"] == pytest.approx(ran.run.validate()[1], abs=1e-6)
    # Every decision is a sentence.
    words = next(d.words for d in ran.of(Decided) if d.verdict == "accepted")
    assert re.match(
        r"epoch \d+: layer \w+ (settled|is the steadiest) \([\d.e-]+ %\), [\d,]+ of [\d,]+ "
        r"(columns|weights) under [\d.]+ of (the mean|a mean column's): (units )?removed; "
        r"accuracy 0\.\d{3}(, 0\.\d{3} after \d+ epochs?)?: accepted",
        words,
    )
    # The columns are shown live.
    rows = ran.of(LayersSeen)[-2].layers
    assert {"mean_column_norm", "delta", "alpha", "beta", "threshold"} <= set(rows[0].numbers)
    shown = next(e.value for e in reversed(ran.of(Result)) if e.name == "column_norms")
    for layer in shown.values():
        assert sum(layer["counts"]) > 0
        assert layer["threshold"] > 0
    series = [e.series for e in ran.of(EpochEnded)]
    assert all(any(k.startswith("mean_column_norm ") for k in s) for s in series)


def test_failed_events_are_taken_back_and_freeze_layers(play):
    # Nothing may be lost, nothing may recover, and huge bites are asked for: every event is bound to fail.
    ran = play(sentence({"tolerance": 0.0, "alpha": 2.4, "beta": 0.9}, {"recovery": 0, "tau": 1.0}), epochs=20)
    failed = [d for d in ran.of(Decided) if d.verdict == "rolled_back"]
    assert failed
    rules = ran.run.memory["dynamic"]["layers"]
    assert min(rule["beta"] for rule in rules.values()) < 0.9
    masks = ran.of(MasksChanged)
    tried = next(i for i, e in enumerate(masks) if e.words == failed[0].words.partition(";")[0])
    assert masks[tried + 1].after == pytest.approx(masks[tried].before)  # put back
    memory = ran.run.memory["dynamic"]
    assert ran.session.pruned["validation"] >= memory["first"] - memory["drop"] - 1e-6


def test_units_that_went_are_physically_gone(play):
    ran = play(sentence({"alpha": 1.0, "tolerance": 0.5}, {"tau": 1.0}), epochs=12)
    assert any(d.kind == "units" for d in ran.of(Decided))
    assert ran.run.model.weights[0].shape[-1] < 16
    assert ran.session.surgery is not None
    assert ran.session.counts.parameters_kept < ran.session.counts.parameters
    left = sum(np.count_nonzero(k.variable.numpy()) for k in kernels(ran.run.model).values())
    assert ran.session.counts.weights_kept == left


def test_a_resumed_run_ends_as_one_that_was_not_stopped(play, tmp_path):
    whole = play(sentence(), epochs=12, folder=tmp_path / "a")
    count = [0]

    def stop(event):
        count[0] += isinstance(event, EpochEnded)
        return count[0] == 8

    cut = play(sentence(), epochs=12, folder=tmp_path / "b", stop=stop)
    assert cut.of(Finished)[0].state == "stopped"
    # What a stopped run leaves is the last accepted state.
    assert cut.run.validate()[1] == pytest.approx(cut.run.memory["dynamic"]["accepted"], abs=1e-6)
    again = play(sentence(), epochs=12, folder=tmp_path / "b", resume=True)
    assert [w.shape for w in again.run.model.weights] == [w.shape for w in whole.run.model.weights]
    for one, other in zip(again.run.model.weights, whole.run.model.weights, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("part", [{"granularity": "unit"}, {"target": {"sparsity": 0.5}}])
def test_parts_that_do_not_go_with_it(play, part):
    with pytest.raises(PruneError, match="does not go with schedule dynamic"):
        play({**sentence(), **part}, epochs=1)


def test_settling():
    schedule = make("schedule", "dynamic")
    assert change(1.0, 1.02) == pytest.approx(0.02 / 1.02)
    assert schedule.settled({"a": 0.02, "b": 0.021}, waited=1) == ["a"]
    assert schedule.settled({"a": 0.03, "b": 0.021}, waited=4) == []
    assert schedule.settled({"a": 0.03, "b": 0.021}, waited=5) == ["b"]
    assert schedule.settled({}, waited=9) == []
