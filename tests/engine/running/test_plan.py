"""What does not go together is refused before anything is trained; what goes back to dense weights finds them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import keras
import pytest

from engine.errors import PruneError
from engine.events import MasksChanged, Noted
from engine.layout import kernels
from engine.presets import paths
from engine.recipe import Recipe, load_recipe
from engine.recipe_reading import recipe_from
from engine.running import units
from engine.running.context import Run
from engine.running.dense import EARLY
from engine.running.executing import execute
from engine.running.plan import plan
from engine.yaml12 import parse

BASE = """
name: planned
data: {name: digits, limit: 128}
model: {name: mlp, hidden: [16]}
train: {epochs: 2, batch_size: 32}
prune: {target: {sparsity: 0.5}}
measure: {latency: null, dense_control: false}
"""
UNITS = {"prune.granularity": "unit", "prune.criterion": "l2_norm"}


def recipe(**overrides: Any) -> Recipe:
    return recipe_from(parse(BASE), overrides=overrides)


def test_every_preset_has_a_plan() -> None:
    assert all(plan(load_recipe(path)) for path in paths().values())


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"prune.schedule": "drop_grow", **UNITS}, "prune.granularity"),
        ({"prune.schedule": "drop_grow", "prune.granularity": "2:4"}, "prune.granularity"),
        ({"prune.schedule": {"name": "at_init", "control": "shuffle"}, **UNITS}, "prune.schedule.control"),
        ({"prune.schedule": {"name": "iterative", "control": "shuffle"}, **UNITS}, "prune.schedule.control"),
        ({"prune.schedule": "cubic", "prune.target": {"accuracy_drop": 0.01}}, "prune.target"),
        ({"prune.schedule": "one_shot", "prune.target": "pq_index"}, "prune.target"),
        ({"prune.schedule": "one_shot", "prune.target": {"epsilon": 0.1}}, "prune.target"),
        ({"prune.repair": [{"name": "rewind", "step": 5}]}, "prune.repair.rewind.step"),
        ({"prune.criterion": "fpgm"}, "prune.criterion"),
        (
            {"model": {"file": "m.keras"}, "prune.schedule": {"name": "at_init", "control": "reinitialise"}},
            "prune.schedule.control",
        ),
    ],
)
def test_parts_that_do_not_go_together_are_refused_before_training(settings: dict[str, Any], where: str) -> None:
    with pytest.raises(PruneError) as error:
        plan(recipe(**settings))
    assert error.value.where == where
    assert error.value.todo


@pytest.mark.parametrize(("to", "updates"), [(3, 3), (1, 1), (0.5, 4), (500, 8)])
def test_an_early_rewind_goes_to_the_step_it_names(to: float, updates: int, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = {"name": "iterative", "rounds": 1, "rewind": "early", "rewind_to": to}
    seen: list[int] = []

    class Watched(Run):
        def weights(self) -> dict[str, Any]:
            if self.stage == 0 and self.optimizer is not None and EARLY not in self.arrays:
                seen.append(int(self.optimizer.iterations.numpy()))
            return super().weights()

    monkeypatch.setattr("engine.running.context.Run", Watched)
    execute(recipe(**{"prune.schedule": schedule}), lambda _: None)
    assert seen[0] == updates  # 128 examples in batches of 32, twice


def test_an_early_rewind_of_a_model_that_is_not_trained_is_to_the_model_as_it_is() -> None:
    schedule = {"name": "iterative", "rounds": 1, "rewind": "early", "epochs": 1}
    run = execute(recipe(**{"prune.schedule": schedule, "train.epochs": 0}), lambda _: None)
    assert set(run.arrays[EARLY]) == set(run.arrays["initial"])


@pytest.mark.parametrize(
    "later", [{"prune.repair": "rewind"}, {"prune.repair": "interpolate"}, {"control": "reinitialise"}]
)
def test_no_unit_goes_between_rounds_where_its_dense_weights_are_asked_for_again(
    later: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "COMPILE_SECONDS", 0.0)
    schedule = {"name": "iterative", "rounds": 2, "rewind": "none", "epochs": 1}
    schedule |= {k: v for k, v in later.items() if k == "control"}
    settings = {k: v for k, v in later.items() if k != "control"}
    run = execute(recipe(**{"prune.schedule": schedule, **UNITS, **settings}), lambda _: None)
    assert run.model.count_params() == 64 * 8 + 8 + 8 * 10 + 10


def test_drop_grow_leaves_what_the_scope_skips_whole() -> None:
    settings = {
        "prune.schedule": {"name": "drop_grow", "frequency": 2},
        "prune.scope": {"name": "erk", "skip": ["output"]},
    }
    run = execute(recipe(**settings), lambda _: None)
    values = {key: kernel.variable.numpy() for key, kernel in kernels(run.model).items()}
    assert (values["output/kernel"] != 0).all()
    assert (values["dense_1/kernel"] != 0).sum() <= 64 * 16 // 2  # ERK: the only layer left takes it all


def changes(settings: dict[str, Any]) -> list[MasksChanged]:
    told: list[Any] = []
    execute(recipe(**settings), told.append)
    return [event for event in told if isinstance(event, MasksChanged)]


def test_rounds_cut_their_share_of_what_the_scope_leaves_to_them() -> None:
    """160 weights of the output are excepted: a half of 1024 goes in each round, not a half of what all have left."""
    schedule = {"name": "iterative", "share": 0.5, "rewind": "none", "epochs": 1}
    scope = {"name": "global", "skip": ["output"]}
    seen = changes({"prune.schedule": schedule, "prune.scope": scope, "prune.target": {"sparsity": 0.875}})
    assert [event.counts.weights_kept for event in seen] == [512, 256, 128]
    assert [event.after for event in seen] == [0.5, 0.75, 0.875]  # achieved, in the target's own denominator
    assert [(row.protected, row.kept) for row in seen[-1].layers] == [(False, 128), (True, 160)]


def test_units_of_a_skipped_layer_do_not_count() -> None:
    schedule = {"name": "iterative", "share": 0.5, "rewind": "none", "epochs": 1}
    settings = {"prune.schedule": schedule, "prune.scope": {"name": "layer", "skip": ["dense_1"]}, **UNITS}
    two = {"model": {"name": "mlp", "hidden": [16, 12]}, "prune.target": {"sparsity": 0.75}}
    seen = changes({**settings, **two})
    assert [event.counts.units_kept for event in seen] == [6, 3]
    assert [event.after for event in seen] == [0.5, 0.75]


def test_a_target_of_nothing_takes_no_round() -> None:
    assert changes({"prune.schedule": "iterative", "prune.target": {"sparsity": 0.0}}) == []


@pytest.mark.parametrize("schedule", [{"name": "cubic", "frequency": 1}, {"name": "iterative", "epochs": 1}])
def test_n_of_m_is_reached_on_the_schedules_way(schedule: dict[str, Any]) -> None:
    seen = changes({"prune.schedule": schedule, "prune.granularity": "2:4", "prune.target": "sparsity"})
    assert all(a.after < b.after for a, b in itertools.pairwise(seen))
    assert len(seen) > 3
    assert seen[-1].after == 0.5


def test_rounds_may_cut_less_of_the_output() -> None:
    """Frankle & Carbin 2019: layer by layer a fifth of what is left, of the output layer a tenth."""
    schedule = {"name": "iterative", "share": 0.2, "output_share": 0.1, "epochs": 1}
    seen = changes({"prune.schedule": schedule, "prune.scope": "layer", "prune.target": {"sparsity": 0.488}})
    kept = [[row.kept for row in event.layers] for event in seen]
    assert kept == [[819, 144], [655, 129], [525, 116]]  # 0.8^3 of 1024; 160 less ceil(16), ceil(14.4), ceil(12.9)


def test_a_run_tells_once_what_gets_no_score(tmp_path: Path) -> None:
    layers = [keras.layers.SeparableConv2D(4, 3), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(10, activation="softmax")])
    model.save(tmp_path / "m.keras")
    told: list[Any] = []
    schedule = {"name": "iterative", "rounds": 2, "epochs": 1}
    settings = {"model": {"file": str(tmp_path / "m.keras")}, "prune.criterion": "activation"}
    run = execute(recipe(**settings, **{"prune.schedule": schedule, "train.epochs": 1}), told.append)
    notes = [event.words for event in told if isinstance(event, Noted) and "left whole" in event.words]
    assert len(notes) == 1
    assert "pointwise_kernel" in notes[0]
    whole = [kernel for key, kernel in kernels(run.model).items() if "pointwise" in key]
    assert (whole[0].variable.numpy() != 0).all()
