"""The list of presets tells goals from the files alone: the same that the catalog's sentence tells."""

from __future__ import annotations

from engine.presets import paths, shipped_folder
from engine.recipe import load_recipe
from engine.sentence import goal
from tui.shelf import Shelf


def test_every_presets_goal_is_that_of_its_sentence() -> None:
    told = {preset.name: preset.goal for preset in Shelf(paths, shipped_folder()).read()}
    assert told == {name: goal(load_recipe(path)) for name, path in paths().items()}
