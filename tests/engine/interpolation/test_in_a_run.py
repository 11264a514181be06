"""Interpolation in a run: the sizes that an error allows, and what it does to the model."""

from __future__ import annotations

import pytest

import engine
from engine.errors import PruneError
from engine.recipe import load_recipe

SMALL = {"train.epochs": 3, "measure.latency": None, "prune.target.epsilon": 0.05}


def test_an_epsilon_finds_the_sizes_and_no_label_is_needed_for_repair():
    session = engine.run(load_recipe("interpolate", overrides=SMALL))
    words = " ".join(line.words for line in session.log)
    assert "units are enough" in words
    assert "relative error" in words
    assert "predicts the same class as the dense model" in words
    kept = {row.key: (row.units_kept, row.units) for row in session.layers}
    assert any(left < all_of_them for left, all_of_them in kept.values())


def test_an_epsilon_needs_its_criterion():
    with pytest.raises(PruneError, match="interpolative"):
        engine.run(load_recipe("interpolate", overrides={**SMALL, "train.epochs": 1, "prune.criterion": "l2_norm"}))
