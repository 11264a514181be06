from __future__ import annotations

from pathlib import Path

import pytest

from engine import catalog
from engine.errors import RecipeError
from engine.presets import paths, read
from engine.recipe import Part, Recipe, load_recipe, to_plain, to_yaml
from engine.recipe_reading import parse_override, recipe_from
from engine.yaml12 import parse


def made(text: str, **overrides: object) -> Recipe:
    return recipe_from(parse(text, "r.yaml"), overrides=overrides)


def problems(text: str, **overrides: object) -> list[str]:
    with pytest.raises(RecipeError) as error:
        made(text, **overrides)
    return list(error.value.problems)


def test_a_bare_recipe_takes_every_default_from_the_catalog() -> None:
    recipe = made("name: x\nprune: {}\n")
    assert recipe.data == Part("digits", {p.name: p.default for p in catalog.get("data", "digits").params})
    assert recipe.prune is not None
    assert recipe.prune.target.get("sparsity") == catalog.get("target", "sparsity").params[0].default
    assert made("name: x").prune is None


@pytest.mark.parametrize(
    ("written", "name", "params"),
    [
        ("weight", "weight", {}),
        ("2:4", "n:m", {"n": 2, "m": 4}),
        ('"1:4"', "n:m", {"n": 1, "m": 4}),
        ("block:4x1", "block", {"rows": 4, "cols": 1, "pooling": "average"}),
        ("{name: block, rows: 2, cols: 3, pooling: max}", "block", {"rows": 2, "cols": 3, "pooling": "max"}),
    ],
)
def test_granularity_is_a_word(written: str, name: str, params: dict[str, object]) -> None:
    recipe = made(f"name: x\nprune: {{granularity: {written}}}")
    assert recipe.prune is not None
    assert recipe.prune.granularity == Part(name, params | ({"group": "sum"} if name == "unit" else {}))


def test_the_name_may_be_left_out_where_a_key_is_one() -> None:
    recipe = made("name: x\ndata: {npz: a.npz}\nmodel: {file: m.keras}\nprune: {target: {epsilon: 0.2}}")
    assert (recipe.data.name, recipe.model.name) == ("npz", "file")
    assert recipe.prune is not None
    assert recipe.prune.target == Part("epsilon", {"epsilon": 0.2})


def test_repairs_are_one_or_many_in_order() -> None:
    one = made("name: x\nprune: {repair: {name: fine_tune, epochs: 2}}")
    many = made("name: x\nprune: {repair: [recalibrate, {name: fine_tune, epochs: 1}, none]}")
    assert one.prune is not None
    assert many.prune is not None
    assert [r.name for r in one.prune.repair] == ["fine_tune"]
    assert [r.name for r in many.prune.repair] == ["recalibrate", "fine_tune"]


def test_all_problems_come_at_once_each_with_its_place_and_a_suggestion() -> None:
    text = (
        "name: x\n"
        "colour: red\n"
        "train: {epochs: many, batch_size: 0}\n"
        "prune:\n"
        "  criterion: magnitud\n"
        "  scope: {name: global, skp: [a]}\n"
        "  target: {sparsity: 1.5}\n"
        "  schedule: {name: cubic, frequency: 2.5}\n"
    )
    found = problems(text)
    assert found == [
        "r.yaml:2:1: colour: unknown key 'colour'; known are name, schema, title, family, about, data, model, train, "
        "prune, measure, seed, sweep",
        "r.yaml:3:9: train.epochs: expected a whole number, got 'many'",
        "r.yaml:3:23: train.batch_size: must be at least 1, got 0",
        "r.yaml:5:3: prune.criterion: unknown criterion 'magnitud' (did you mean magnitude?)",
        "r.yaml:6:25: prune.scope.skp: unknown parameter of scope global 'skp' (did you mean skip?)",
        "r.yaml:8:27: prune.schedule.frequency: expected a whole number, got 2.5",
        "r.yaml:7:12: prune.target.sparsity: must be between 0 and 1, got 1.5",
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "just words", "name: x\nprune: 3", "name: x\ntrain: []", "schema: 2\nname: x"]
)
def test_what_is_no_recipe_is_refused(text: str) -> None:
    assert problems(text)


def test_overrides_change_keys_and_say_so_when_they_are_wrong() -> None:
    text = "name: x\nprune: {criterion: taylor, target: {sparsity: 0.5}, schedule: cubic}"
    changed = made(text, **{"prune.target.sparsity": 0.95, "prune.schedule.power": 1, "train.epochs": 3})
    assert changed.prune is not None
    assert changed.prune.target.get("sparsity") == 0.95
    assert changed.prune.schedule.get("power") == 1
    assert changed.train.epochs == 3
    other = made(text, **{"prune.target.epsilon": 0.1, "prune.criterion.name": "random"})
    assert other.prune is not None
    assert other.prune.target == Part("epsilon", {"epsilon": 0.1})
    assert other.prune.criterion.name == "random"
    own = made(
        "name: x\ndata: digits\nmodel: {name: mlp, hidden: [3]}", **{"data.npz": "a.npz", "model.file": "m.keras"}
    )
    assert (own.data.name, own.data.get("npz"), own.model) == ("npz", "a.npz", Part("file", {"file": "m.keras"}))
    assert problems(text, **{"prune.target.sparsty": 1})[0].startswith("--set prune.target.sparsty: unknown parameter")


def test_an_override_of_a_part_that_is_not_in_the_file_is_of_its_default() -> None:
    changed = made("name: x", **{"prune.scope.skip": ["a"], "prune.target.epsilon": 0.1, "model.hidden": [3]})
    assert changed.prune is not None
    assert (changed.prune.scope.name, changed.prune.scope.get("skip")) == ("global", ("a",))
    assert changed.prune.target == Part("epsilon", {"epsilon": 0.1})
    assert changed.model.get("hidden") == (3,)
    assert made("name: x", **{"train.optimizer.learning_rate": 0.5}).train.optimizer.get("learning_rate") == 0.5


def test_an_override_of_what_names_a_part_keeps_the_parts_other_parameters() -> None:
    text = "name: x\nprune: {target: {accuracy_drop: 0.01, trials: 3}}"
    changed = made(text, **{"prune.target.accuracy_drop": 0.02}).prune
    assert changed is not None
    assert (changed.target.get("accuracy_drop"), changed.target.get("trials")) == (0.02, 3)


@pytest.mark.parametrize(
    ("text", "value"), [("a=1e-3", 0.001), ("a=no", "no"), ("a=[1, 2]", [1, 2]), ("a='2:4'", "2:4"), ("a=2:4", "2:4")]
)
def test_an_override_is_read_as_yaml(text: str, value: object) -> None:
    assert parse_override(text) == ("a", value)
    with pytest.raises(RecipeError, match="KEY=VALUE"):
        parse_override("prune.target")


def test_every_point_of_a_sweep_is_checked() -> None:
    made("name: x\nprune: {}\nsweep: {prune.target.sparsity: [0, 0.5], seed: [0, 1]}")
    found = problems("name: x\nprune: {}\nsweep:\n  prune.target.sparsity: [0, 1.5]\n")
    assert len(found) == 1
    assert "between 0 and 1" in found[0]


@pytest.mark.parametrize("name", sorted(paths()))
def test_every_preset_loads_and_writes_back_to_itself(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.title
    assert recipe.about
    assert recipe.family in {"Weights", "Units", "By itself", "At initialisation", "Experiments"}
    assert recipe_from(parse(to_yaml(recipe))) == recipe
    assert to_plain(recipe_from(parse(to_yaml(recipe)))) == to_plain(recipe)


def test_a_preset_that_is_not_there_lists_the_close_ones() -> None:
    with pytest.raises(RecipeError, match="did you mean gradual-global"):
        read("gradual-globl")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot be read"):
        read(tmp_path / "x.yaml")


@pytest.mark.parametrize("value", [".nan", ".inf", "1e999"])
def test_a_number_that_is_not_finite_is_refused_where_there_is_no_bound_either(value: str) -> None:
    rate = f"name: x\ntrain: {{optimizer: {{name: adam, learning_rate: {value}}}}}"
    assert "expected a finite number" in problems(rate)[0]
    begin = f"name: x\nprune: {{schedule: {{name: cubic, begin: {value}}}}}"
    assert "expected a finite number" in problems(begin)[0]


def test_a_granularity_with_more_digits_than_fit_is_unknown() -> None:
    assert "unknown granularity" in problems(f"name: x\nprune: {{granularity: 'block:{'9' * 5000}x1'}}")[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nmeasure: {runtimes: [scipy, lite_rt]}", ":2:29: measure.runtimes.1: unknown runtime 'lite_rt' (did"),
        (
            "name: x\nmeasure:\n  runtimes:\n  - scipi",
            ":4:5: measure.runtimes.0: unknown runtime 'scipi' (did you mean",
        ),
        ("name: x\nmeasure: {latency: {batch_sizes: [1, -3]}}", ":2:38: measure.latency.batch_sizes.1: must be at"),
        ("name: x\nmodel: {name: mlp, hidden: [9, 0]}", ":2:32: model.hidden.1: must be between 1"),
        ("name: x\nprune: {scope: {name: layer, per_layer: {dense: 1.5}}}", ":2:42: prune.scope.per_layer.dense: must"),
        ("name: x\nsweep: {seed: 3}", ":2:9: sweep.seed: expected a list, got 3"),
        (
            "name: x\nsweep: {measure.runtimes: [[scipi]]}",
            "sweep.measure.runtimes.0: measure.runtimes.0: unknown runtime",
        ),
    ],
)
def test_a_wrong_item_is_said_where_it_stands(text: str, said: str) -> None:
    (found,) = problems(text)
    assert said in found


def test_an_axis_of_a_sweep_holds_something() -> None:
    assert problems("name: x\nsweep: {seed: []}") == ["r.yaml:2:9: sweep.seed: there is nothing in the list"]


@pytest.mark.parametrize("name", ["a" * 5000, "nul\0byte", "missing/" * 900])
def test_a_name_that_no_file_can_have_is_said_not_to_be_there(name: str) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        load_recipe(name)
