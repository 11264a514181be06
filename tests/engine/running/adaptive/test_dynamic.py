"""The dynamic method in small runs: decisions in words, accepted states, roll-backs, resume."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from engine.errors import PruneError
from engine.events import Decided, EpochEnded, Finished, LayersSeen, MasksChanged, Noted, Result, Surgery
from engine.keys import variable_keys
from engine.layout import kernels
from engine.registry import make
from engine.running import optimizing
from engine.running.adaptive import dynamic, rules
from engine.running.context import Run
from engine.running.training import SLOTS
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
    # Every epoch says what it was for.
    phases = [e.phase for e in ran.of(EpochEnded)]
    assert {"training", "pruning", "recovering"} == set(phases)
    assert phases.index("pruning") == phases.count("training")
    spent = sum(d.numbers["epochs"] for d in said if d.verdict in ("accepted", "rolled_back"))
    assert phases.count("recovering") == spent


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


EAGER = {"alpha": 0.9, "tolerance": 0.3, "beta": 0.4}


def without_compile_cost(monkeypatch):
    """Compiling counts as nothing, so that even these tiny networks are made smaller whenever something is gone."""
    monkeypatch.setattr("engine.running.units.COMPILE_SECONDS", 1e-9)


def test_the_network_is_physically_smaller_between_events(play, monkeypatch):
    without_compile_cost(monkeypatch)
    ran = play(sentence(EAGER, {"tau": 1.0, "patience": 1}), epochs=14, hidden=(24, 12))
    surgeries = [i for i, e in enumerate(ran.events) if isinstance(e, Surgery)]
    assert len(surgeries) >= 3
    epochs = [i for i, e in enumerate(ran.events) if isinstance(e, EpochEnded)]
    assert surgeries[0] < epochs[-2]  # it trains on, smaller
    # Only ever right after an event was accepted.
    for at in surgeries[:-1]:
        before = [e for e in ran.events[:at] if isinstance(e, Decided)]
        assert before[-1].verdict in ("accepted", "frozen")
    # All is told in terms of the dense network.
    rows = ran.of(LayersSeen)
    assert {tuple(row.weights for row in e.layers) for e in rows} == {(64 * 24, 24 * 12, 12 * 10)}
    assert {tuple(row.units for row in e.layers) for e in rows} == {(24, 12, 10)}
    assert {e.counts.parameters for e in rows} == {64 * 24 + 24 + 24 * 12 + 12 + 120 + 10}
    for at in surgeries:
        seen = [e.counts for e in ran.events[:at] if isinstance(e, LayersSeen | MasksChanged)][-1]
        after = next(e.counts for e in ran.events[at:] if isinstance(e, LayersSeen | MasksChanged))
        assert (after.weights, after.weights_kept, after.units_kept) == (
            seen.weights,
            seen.weights_kept,
            seen.units_kept,
        )
    assert all(row.numbers["mean_column_norm"] > 0 for e in rows[1:] for row in e.layers)
    first = ran.session.surgery
    assert first.before["parameters"] == 64 * 24 + 24 + 24 * 12 + 12 + 120 + 10
    assert [row["units_before"] for row in first.rows] == [24, 12, 10]
    assert first.after["parameters"] == sum(w.numpy().size for w in ran.run.model.weights)
    notes = [e.words for e in ran.of(Noted)]
    assert any(
        re.search(r"physically smaller from here on: \d+% of the FLOPs are left; an epoch took", w) for w in notes
    )
    assert any(re.search(r"an epoch took [\d.e-]+ s at first, [\d.e-]+ s at the end", w) for w in notes)
    # The end is the last accepted state, as without.
    memory = ran.run.memory["dynamic"]
    assert ran.run.validate()[1] == pytest.approx(memory["accepted"], abs=1e-6)


def test_removing_what_is_gone_changes_no_number(play, monkeypatch):
    """The state after a physical removal computes what the masked one did, and the optimizer goes on where it was."""
    without_compile_cost(monkeypatch)
    seen = []
    plain = dynamic.Method._shrink

    def shrink(method, validation):
        run, x = method.run, method.run.data.x_val
        before = (run.model(x).numpy(), run.counts(), optimizing.named(run.optimizer, variable_keys(run.model)))
        held = {name: v.numpy() for name, v in before[2].items()}
        offers = {k: c.mean for k, c in method.network.columns(run.mask_arrays()).items()}
        plain(method, validation)
        if SLOTS in run.arrays:
            after = {k: c.mean for k, c in method.network.columns(run.mask_arrays()).items()}
            assert after == pytest.approx(offers)
            assert all(set(np.unique(m)) <= {False, True} for m in run.mask_arrays().values())
            seen.append((before[0], run.model(x).numpy(), held, dict(run.arrays[SLOTS]), before[1], run.counts()))
            assert run.arrays["accepted weights"].keys() == variable_keys(run.model).keys()

    monkeypatch.setattr(dynamic.Method, "_shrink", shrink)
    play(sentence(EAGER, {"tau": 1.0, "patience": 1}), epochs=12, hidden=(24, 12))
    assert seen
    for outputs, smaller, held, carried, counts, after in seen:
        assert smaller == pytest.approx(outputs, abs=1e-5)
        assert held.keys() == carried.keys()
        assert after.weights_kept == counts.weights_kept
        # What was cut of the slots belonged to masked weights, whose slots are zero.
        for name, slot in carried.items():
            assert np.abs(slot).sum() == pytest.approx(np.abs(held[name]).sum(), rel=1e-5)
        assert any(np.size(carried[name]) < np.size(held[name]) for name in held)


@pytest.mark.parametrize("target", [EAGER, {"alpha": 1.0, "tolerance": 0.02, "beta": 0.6}])
def test_a_killed_run_resumes_bit_for_bit_across_physical_removal(play, monkeypatch, tmp_path, target):
    without_compile_cost(monkeypatch)
    settings = {"epochs": 14, "hidden": (24, 12)}
    made = sentence(target, {"tau": 1.0, "patience": 2, "recovery": 1})
    whole = play(made, folder=tmp_path / "a", **settings)
    if target is not EAGER:  # states are put back after a removal: masks, weights and optimizer of the smaller network
        told = [
            type(e) if isinstance(e, Surgery) else e.verdict for e in whole.events if isinstance(e, Surgery | Decided)
        ]
        assert "rolled_back" in told[told.index(Surgery) :]
    cuts = [i for i, e in enumerate(whole.events) if isinstance(e, Surgery)]
    first = sum(isinstance(e, EpochEnded) for e in whole.events[: cuts[0]])
    for kill in (first, first + 1):  # the removal is in the checkpoint after epoch `first`, not yet in that before
        count, save = [0], Run.save

        def saving(run, count=count, save=save, kill=kill):
            save(run)
            count[0] += 1
            if count[0] == kill:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Run, "save", saving)
            with pytest.raises(KeyboardInterrupt):
                play(made, folder=tmp_path / str(kill), **settings)
        again = play(made, folder=tmp_path / str(kill), resume=True, **settings)
        assert [w.shape for w in again.run.model.weights] == [w.shape for w in whole.run.model.weights]
        for one, other in zip(again.run.model.weights, whole.run.model.weights, strict=True):
            assert np.array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("repair", ["rewind", "interpolate"])
def test_nothing_goes_early_where_a_repair_asks_for_it_again(play, monkeypatch, repair):
    without_compile_cost(monkeypatch)
    ran = play(sentence(EAGER, {"tau": 1.0, "patience": 1}, repair=repair), epochs=8)
    assert len(ran.of(Surgery)) == 1


def test_a_repair_that_spoils_it_is_taken_back(play):
    spoils = {"name": "fine_tune", "epochs": 1, "learning_rate": 50.0}
    ran = play(sentence({}, {"tau": 1.0, "patience": 1}, repair=spoils), epochs=8)
    assert ran.session.pruned["validation"] == pytest.approx(ran.run.memory["dynamic"]["accepted"], abs=1e-6)
    assert any("outside the tolerance" in n.words for n in ran.of(Noted))
    polished = play(sentence({}, {"tau": 1.0, "patience": 1}, repair={**spoils, "learning_rate": 1e-4}), epochs=8)
    assert not any("outside the tolerance" in n.words for n in polished.of(Noted))


def test_one_percent_is_of_the_layer_as_it_was(play):
    small = rules.Columns(np.ones((2, 2)), np.ones((2, 2), bool), np.ones(2), np.zeros(2), dense=100)
    rule = rules.LayerRule(alpha=1.2, beta=0.3, weights_only=True)
    assert rules.offer(small, rule, make("target", "column_norm"))[1].count == 1  # of 4 left: 1 % of 100
    more = dataclasses.replace(small, dense=101)
    assert rules.offer(more, rule, make("target", "column_norm"))[1] is None


def test_a_run_follows_the_rules_from_its_first_decision_to_its_last(play):
    """What was told is enough to work out by hand what each layer must have learnt, and when it could act."""
    tau, wait, recovery = 0.004, 3, 2
    made = sentence({"alpha": 0.8, "tolerance": 0.0, "beta": 0.5}, {"tau": tau, "max_wait": wait, "recovery": recovery})
    ran = play(made, epochs=50, hidden=(16, 12))
    memory, told = ran.run.memory["dynamic"], ran.of(Decided)
    first, count = memory["first"], len(ran.run.data.x_val)
    assert memory["drop"] == pytest.approx(max(0.0, (first * (1 - first) / count) ** 0.5))
    state = {
        key: [0.8, 0.5, 0, key == "output/kernel"] for key in memory["layers"]
    }  # alpha, beta, failures, weights only
    frozen, ended, seen = set(), None, []
    for event in told:
        numbers, layer = event.numbers, event.layer
        if event.verdict == "frozen":
            frozen.add(layer)
        if event.verdict not in ("tried", "accepted", "rolled_back"):
            continue
        alpha, beta, failures, weights_only = state[layer]
        assert layer not in frozen
        assert numbers["beta"] == beta
        assert numbers["count"] <= beta * numbers["of"]
        steps = (numbers["alpha"] - alpha) / 0.1
        assert steps >= -1e-9
        assert steps == pytest.approx(round(steps))
        assert event.kind == "weights" or not weights_only
        if event.verdict == "tried":
            waited = event.epoch - ended if ended is not None else wait
            assert numbers["delta"] <= tau or waited >= wait
            continue
        ended, within = event.epoch, numbers["recovered"] >= first - memory["drop"] - 1e-9
        assert within == (event.verdict == "accepted")
        assert numbers["epochs"] <= recovery
        seen.append(event.verdict)
        if within:
            state[layer] = [round(numbers["alpha"] + 0.1, 9), beta, 0, weights_only]
            continue
        if numbers["epochs"] < recovery:  # the epochs were spent in the middle of it: nothing is learnt from that
            assert event is told[-2]
            assert "the epochs are spent" in event.words
            continue
        failures += 1
        if failures == 2 and weights_only:
            frozen.add(layer)
        turned = failures == 2 and not weights_only
        state[layer] = [numbers["alpha"], beta / 2, 0 if turned else failures, weights_only or turned]
    assert {"accepted", "rolled_back"} <= set(seen)
    for key, rule in memory["layers"].items():
        if key in frozen:
            assert rule["frozen"]
        elif not rule["frozen"]:  # alpha may have risen since its last event without an offer; nothing else may differ
            assert rule["alpha"] >= state[key][0] - 1e-9
            assert [rule["beta"], rule["weights_only"]] == [state[key][1], state[key][3]]
