"""The recipe behind `prune-tui auto`."""

from __future__ import annotations

import pytest

import engine
from engine.errors import RecipeError


def test_a_recipe_for_size():
    recipe = engine.auto_recipe("net.keras", "data.npz", max_drop=0.02)
    assert recipe.model.params == {"file": "net.keras"}
    assert recipe.data.name == "npz"
    assert recipe.train.epochs == 0
    assert recipe.prune.granularity.name == "weight"
    assert recipe.prune.target.get("accuracy_drop") == 0.02
    assert [r.name for r in recipe.prune.repair] == ["fine_tune"]


@pytest.mark.parametrize("aim", ["latency", "flops"])
def test_quicker_means_fewer_units(aim, tmp_path):
    recipe = engine.auto_recipe("net.keras", tmp_path, aim=aim)
    assert recipe.data.name == "folder"
    assert recipe.prune.granularity.name == "unit"
    assert recipe.prune.target.get("objective") == aim
    assert [r.name for r in recipe.prune.repair] == ["recalibrate", "fine_tune"]


def test_what_cannot_be():
    with pytest.raises(RecipeError, match="objective"):
        engine.auto_recipe("net.keras", "digits", aim="beauty")
    with pytest.raises(RecipeError, match="accuracy_drop"):
        engine.auto_recipe("net.keras", "digits", max_drop=-1)
