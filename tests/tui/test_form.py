import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import catalog
from engine.recipe import Part, Prune, Recipe, load_recipe
from engine.recipe_values import Wrong
from tui import form


@pytest.fixture
def values():
    recipe, problems = form.check({"name": "a", "prune": {}})
    assert problems == ()
    return form.plain(recipe)


def field(values, key):
    return next(f for f in form.fields(values) if f.key == key)


def test_a_recipe_survives_the_form(values):
    recipe, problems = form.check(values)
    assert problems == ()
    assert form.plain(recipe) == values
    assert isinstance(recipe, Recipe)


def test_another_part_brings_its_own_parameters(values):
    changed = form.put(values, field(values, "prune.criterion"), "synflow")
    assert changed["prune"]["criterion"] == {"name": "synflow", "iterations": 100}
    assert values["prune"]["criterion"]["name"] == "magnitude"  # the form before is as it was
    assert field(changed, "prune.criterion.iterations").depth == 1


def test_the_sparsity_follows_the_pattern(values):
    changed = form.put(values, field(values, "prune.granularity"), "n:m")
    assert changed["prune"]["target"] == {"name": "sparsity", "sparsity": 0.5}
    one = form.put(changed, field(changed, "prune.granularity.n"), 1)
    assert one["prune"]["target"]["sparsity"] == 0.75
    assert form.check(one)[1] == ()
    off = form.put(one, field(one, "prune.target.sparsity"), 0.9)
    assert "fixes the sparsity at 0.75" in form.check(off)[1][0]


def test_repairs_come_and_go(values):
    one = form.put(values, field(values, "prune.repair.0"), "fine_tune")
    two = form.put(one, field(one, "prune.repair.1"), "recalibrate")
    assert [r["name"] for r in two["prune"]["repair"]] == ["fine_tune", "recalibrate"]
    gone = form.put(two, field(two, "prune.repair.0"), "none")
    assert [r["name"] for r in gone["prune"]["repair"]] == ["recalibrate"]


def test_numbers_stay_in_their_bounds(values):
    for _ in range(40):
        values = form.step(values, field(values, "prune.target.sparsity"), 1)
    assert values["prune"]["target"]["sparsity"] == 1.0
    values = form.put(values, field(values, "train.batch_size"), 1)
    assert form.step(values, field(values, "train.batch_size"), -1)["train"]["batch_size"] == 1


def test_choices_go_round(values):
    names = list(catalog.entries("scope"))
    before = field(values, "prune.scope").value
    for _ in names:
        values = form.step(values, field(values, "prune.scope"), 1)
    assert field(values, "prune.scope").value == before


def test_what_is_typed(values):
    assert form.read(field(values, "train.epochs"), "20") == 20
    assert form.read(field(values, "train.optimizer.learning_rate"), "1e-3") == 0.001
    assert form.read(field(values, "model.hidden"), "300, 100") == (300, 100)
    assert form.read(field(values, "train.patience"), "none") is None
    wrong = form.read(field(values, "prune.target.sparsity"), "1.5")
    assert isinstance(wrong, Wrong)
    assert wrong.message == "must be between 0 and 1, got 1.5"
    for said in ("90%", "90 %", ".9"):
        assert form.read(field(values, "prune.target.sparsity"), said) == 0.9
    broken = form.read(field(values, "model.hidden"), "[300")
    assert isinstance(broken, Wrong)
    assert broken.message.startswith("this is not YAML: ")
    assert isinstance(form.read(field(values, "train.epochs"), "many"), Wrong)
    assert isinstance(form.read(field(values, "train.epochs"), ""), Wrong)


def test_what_stands_in_a_field_can_be_taken_as_it_is():
    for preset in ("gradual-global", "sensitivity", "l2-units", "budget", "baseline"):
        values = form.plain(load_recipe(preset))
        values = form.put(values, field(values, "prune.scope.per_layer"), {"dense*": 0.5, "out": 0.25})
        for one in form.fields(values):
            if not one.choices and one.value is not None:
                again = form.read(one, form.said(one.value))
                assert again == (tuple(one.value) if isinstance(one.value, list) else one.value), one.key


def test_a_list_can_be_emptied(values):
    for word in ("", "none"):
        assert form.read(field(values, "prune.scope.skip"), word) == ()
        assert form.read(field(values, "prune.scope.per_layer"), word) == {}
    assert isinstance(form.read(field(values, "model.hidden"), "none"), Wrong)


def test_the_same_part_chosen_once_more_keeps_its_parameters(values):
    changed = form.put(values, field(values, "prune.target.sparsity"), 0.95)
    assert form.put(changed, field(changed, "prune.target"), "sparsity") == changed


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_no_way_through_the_form_breaks_it(data):
    recipe, _ = form.check({"name": "a", "prune": {}})
    values = form.plain(recipe)
    for _ in range(6):
        fields = form.fields(values)
        values = form.step(values, data.draw(st.sampled_from(fields)), data.draw(st.sampled_from([-1, 1])))
        found, problems = form.check(values)
        assert (found is None) == bool(problems)


def test_a_recipe_without_pruning_has_no_sentence():
    values = form.plain(Recipe(name="dense", data=Part("digits"), model=Part("mlp"), prune=None))
    assert not [f for f in form.fields(values) if f.key.startswith("prune")]
    assert Prune().criterion.name == "magnitude"
