"""n:m fixes the sparsity: a recipe may say so or leave it out, and is told when it says another."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import RecipeError
from engine.recipe import Recipe, load_recipe, to_yaml
from engine.recipe_reading import recipe_from
from engine.yaml12 import parse


def recipe(granularity: str, rest: str = "", **overrides: Any) -> Recipe:
    return recipe_from(parse(f'name: p\nprune: {{granularity: "{granularity}"{rest}}}', "p.yaml"), overrides=overrides)


@pytest.mark.parametrize(
    ("granularity", "rest", "sparsity"),
    [
        ("2:4", "", 0.5),
        ("1:4", "", 0.75),
        ("2:4", ", target: sparsity", 0.5),
        ("2:4", ", target: {sparsity: 0.5}", 0.5),
        ("1:3", ", target: {sparsity: 0.67}", 0.67),
        ("2:4", ", target: {sparsity: 0}", 0),
    ],
)
def test_the_sparsity_is_the_patterns(granularity: str, rest: str, sparsity: float) -> None:
    made = recipe(granularity, rest)
    assert made.prune is not None
    assert made.prune.target.params == {"sparsity": sparsity}
    assert recipe_from(parse(to_yaml(made))) == made


@pytest.mark.parametrize(
    ("granularity", "rest", "words"),
    [
        ("2:4", ", target: {sparsity: 0.8}", "p.yaml:2:38: prune.target.sparsity: 2:4 fixes the sparsity at 0.5"),
        ("1:4", ", target: {sparsity: 0.5}", "so it cannot be 0.5"),
        ("2:4", ", schedule: {name: cubic, final: 0.9}", "prune.schedule.final"),
        ("2:4", ", scope: {name: layer, per_layer: {dense_1: 0.8}}", "prune.scope.per_layer.dense_1: 2:4 fixes"),
        ("2:4", ", schedule: {name: iterative, output_share: 0.1}", "prune.schedule.output_share: 2:4 cuts the same"),
        ("4:2", "", "keeps 4 of every 2"),
    ],
)
def test_another_sparsity_is_answered_with_its_place(granularity: str, rest: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        recipe(granularity, rest)


def test_points_of_a_sweep_each_have_their_own_and_other_pieces_that_of_the_recipe() -> None:
    from engine.running.sweeping import points, recipe_at

    swept = recipe("2:4", sweep={"prune.granularity": ["2:4", "1:4", "weight"]})
    found = [recipe_at(swept, point).prune for point in points(swept)]
    assert [p.target.get("sparsity") for p in found if p is not None] == [0.5, 0.75, 0.5]


def test_the_preset_takes_another_pattern() -> None:
    made = load_recipe("two-of-four", overrides={"prune.granularity": "1:4"})
    assert made.prune is not None
    assert made.prune.target.get("sparsity") == 0.75
