from __future__ import annotations

import pytest

from engine import catalog
from engine.presets import paths
from engine.recipe import load_recipe
from tui.paint.card import cards
from tui.paint.lines import length, plain


@pytest.mark.parametrize("width", [20, 44, 86])
def test_every_line_fits(width: int) -> None:
    for name in paths():
        assert all(length(row) <= width for row in cards(load_recipe(name), width))


def test_a_card_says_what_the_catalog_says_and_what_the_recipe_sets() -> None:
    text = "\n".join(plain(row) for row in cards(load_recipe("snip"), 200))
    entry = catalog.get("criterion", "snip")
    assert all(words in text for words in (entry.title, entry.summary, entry.formula, entry.source, entry.when))
    assert "95 %" in text or "0.95" in text
