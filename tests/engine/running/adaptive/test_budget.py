"""Budgets in small runs: what is returned is within, the best is kept, and a stopped run leaves it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import PruneError
from engine.events import Decided, EpochEnded, Finished, Noted, Result
from engine.measurement.flops import count_flops
from engine.running.adaptive.budget import BudgetSearch
from engine.targets.accuracy_drop import AccuracyDrop


def sentence(target, granularity="weight", epochs=1, **more):
    return {
        "criterion": "magnitude" if granularity == "weight" else "l2_norm",
        "granularity": granularity,
        "scope": "global" if granularity == "weight" else "layer",
        "schedule": "one_shot",
        "target": target,
        "repair": {"name": "fine_tune", "epochs": epochs},
        **more,
    }


def test_an_accuracy_budget_is_kept_by_what_is_returned(play):
    ran = play(sentence({"accuracy_drop": 0.03, "trials": 4}), epochs=10)
    rows = ran.session.results["search"]
    dense = ran.session.dense["validation"]
    good = [r for r in rows if r["within"]]
    assert len(rows) == 4
    assert good
    assert all((dense - r["validation"] + r["error"] <= 0.03 + 1e-9) == r["within"] for r in rows)
    assert any("359 validation examples" in w and "1 standard error" in w for w in [e.words for e in ran.of(Noted)])
    assert ran.session.sparsity == pytest.approx(max(r["sparsity"] for r in good))
    assert dense - ran.session.pruned["validation"] <= 0.03 + 1e-6
    assert ran.of(Decided)[-1].verdict == "found"
    assert ran.session.before_recovery


def test_a_loss_is_known_pair_by_pair(play, monkeypatch):
    kept = []
    plain = BudgetSearch._tell

    def tell(search, row):
        x, y = search.run.data.x_val, search.run.data.y_val
        right = [np.argmax(m.predict(x, verbose=0), axis=-1) == y for m in (search.run.dense, search.run.model)]
        kept.append((row["error"], right[0].astype(float) - right[1]))
        plain(search, row)

    monkeypatch.setattr(BudgetSearch, "_tell", tell)
    play(sentence({"accuracy_drop": 0.03, "trials": 3}), epochs=3)
    assert any(error > 0 for error, _ in kept)
    for error, pairs in kept:
        assert error == pytest.approx(np.sqrt(np.mean((pairs - pairs.mean()) ** 2) / len(pairs)))


def test_a_repair_that_makes_it_worse_is_left_out(play):
    # A learning rate that ruins whatever it tunes: pruned models are within the budget only as they were before it.
    repair = {"name": "fine_tune", "epochs": 1, "learning_rate": 5.0}
    prune = sentence({"accuracy_drop": 0.02, "trials": 6}) | {"repair": repair}
    ran = play(prune, epochs=10)
    rows = ran.session.results["search"]
    assert not any(r["repaired"] for r in rows)
    assert ran.session.sparsity > 0
    assert ran.session.dense["validation"] - ran.session.pruned["validation"] <= 0.02 + 1e-6
    assert "without repair, which made it worse" in ran.of(Decided)[-1].words


def test_the_margin_is_added_to_the_loss():
    assert AccuracyDrop(accuracy_drop=0.01).within(0.98, 0.97)
    assert not AccuracyDrop(accuracy_drop=0.01).within(0.98, 0.97, error=0.001)
    assert AccuracyDrop(accuracy_drop=0.01).within(0.98, 0.975, error=0.005 - 1e-9)
    assert not AccuracyDrop(accuracy_drop=0.01, margin=2.0).within(0.98, 0.975, error=0.003)
    assert AccuracyDrop(accuracy_drop=0.01, margin=0.0).within(0.98, 0.97, error=1.0)


def test_nothing_within_leaves_the_dense_model(play, monkeypatch):
    monkeypatch.setattr(AccuracyDrop, "within", lambda *_, **__: False)
    ran = play(sentence({"accuracy_drop": 0.0, "trials": 2}, epochs=0), epochs=1)
    assert ran.session.sparsity == 0
    assert any("dense model is kept" in w for w in ran.session.warnings)
    assert ran.session.pruned["validation"] == pytest.approx(ran.session.dense["validation"])


@pytest.mark.parametrize(("target", "granularity"), [({"flops": 0.5}, "unit"), ({"size": 0.3}, "weight")])
def test_cost_budgets_are_met_on_the_real_model(play, target, granularity):
    ran = play(sentence({**target, "trials": 8}, granularity), epochs=3)
    model, dense = ran.run.model, ran.run.dense
    if granularity == "unit":
        share = count_flops(model)[1] / count_flops(dense)[0]
        one_more = 0.5 + 1.5 / 16  # a unit is a sixteenth
        assert 0.5 >= share > 2 * 0.5 - one_more
    else:
        share = sum(np.count_nonzero(w.numpy()) for w in model.weights) / sum(w.numpy().size for w in dense.weights)
        assert share == pytest.approx(0.3, abs=0.02)
        assert share <= 0.3
    assert ran.session.results["search"][-1]["objective"] in ("flops", "size")


def test_latency_is_measured(play):
    ran = play(sentence({"latency": 50.0 / 51, "trials": 2}, "unit", epochs=0), epochs=1, hidden=(512,))
    assert all(r["cost"] > 0 for r in ran.session.results["search"])


def test_other_scopes_and_shares_are_tried(play):
    target = {"name": "accuracy_drop", "accuracy_drop": 0.1, "trials": 1, "vary": ["scope", "shares", "granularity"]}
    ran = play(sentence(target), epochs=6)
    rows = ran.session.results["search"]
    assert {r["variant"] for r in rows} == {
        "weight, global", "weight, layer", "weight, shares from sensitivity", "unit, global",
    }  # fmt: skip
    best = min((r for r in rows if r["within"]), key=lambda r: r["cost"])
    assert ran.session.results["sensitivity"]["table"]
    found = ran.of(Decided)[-1].words
    assert best["variant"] in found
    nonzero = sum(np.count_nonzero(w.numpy()) for w in ran.run.model.weights)
    whole = sum(w.numpy().size for w in ran.run.dense.weights)
    assert nonzero / whole == pytest.approx(best["cost"], abs=0.02)


def test_a_stopped_search_leaves_the_best_and_goes_on(play, tmp_path):
    prune = sentence({"accuracy_drop": 0.1, "trials": 3}, epochs=2)
    whole = play(prune, epochs=4, folder=tmp_path / "a")
    tuned = [0]

    def stop(event):
        tuned[0] += isinstance(event, EpochEnded) and event.phase == "recovering"
        return tuned[0] == 3  # in the middle of the second trial

    cut = play(prune, epochs=4, folder=tmp_path / "b", stop=stop)
    assert cut.of(Finished)[0].state == "stopped"
    known = [e for e in cut.of(Result) if e.name == "search"][-1].value
    best = min((r for r in known if r["within"]), key=lambda r: r["cost"])
    assert cut.run.validate()[1] == pytest.approx(best["validation"], abs=1e-6)
    again = play(prune, epochs=4, folder=tmp_path / "b", resume=True)
    rows = again.session.results["search"]
    assert rows == whole.session.results["search"]
    for one, other in zip(again.run.model.weights, whole.run.model.weights, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


def test_a_pattern_has_no_sparsity_to_search(play):
    with pytest.raises(PruneError, match="one sparsity only"):
        play({**sentence({"accuracy_drop": 0.1}), "granularity": "2:4"}, epochs=1)
