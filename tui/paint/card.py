"""Method cards: what each part of a recipe does, its formula, its source, when to use it; all from the catalog."""

from __future__ import annotations

from typing import Any

from engine import catalog
from engine.catalog import Entry
from engine.recipe import Part, Recipe
from engine.sentence import value_in_words
from tui.paint.lines import Line, cut, left, line, wrap

INDENT = 13


def cards(recipe: Recipe, width: int) -> list[Line]:
    """The cards of all parts of a recipe, in the order of the sentence."""
    prune = recipe.prune
    if prune is None:
        return wrap("This recipe prunes nothing: it trains the network and measures it.", width)
    out: list[Line] = []
    kinds: list[tuple[catalog.Kind, Part]] = [
        ("criterion", prune.criterion),
        ("granularity", prune.granularity),
        ("scope", prune.scope),
        ("schedule", prune.schedule),
        ("target", prune.target),
        *(("repair", part) for part in prune.repair),
    ]
    for kind, part in kinds:
        out += [*card(catalog.get(kind, part.name), part.params, width), line("")]
    return out[:-1]


def card(entry: Entry, params: dict[str, Any], width: int) -> list[Line]:
    """One card: the part's title, then its facts, then its parameters as this recipe sets them."""
    out: list[Line] = [cut(line((f"{entry.kind}   ", "quiet"), (entry.title, "heading")), width)]
    out += wrap(entry.summary, width)
    needs = ", ".join(sorted(entry.needs))
    for name, text in {"formula": entry.formula, "when": entry.when, "source": entry.source, "needs": needs}.items():
        out += _fact(name, text, width)
    for param in entry.params:
        value = params.get(param.name, param.default)
        said = value_in_words(value) if value not in ((), {}) else "none"
        out += _fact(param.name.replace("_", " "), f"{said}   {param.doc}", width, style="accuracy")
    return out


def _fact(name: str, text: str, width: int, *, style: str = "quiet") -> list[Line]:
    if not text:
        return []
    rows = wrap(text, width - INDENT) if width >= 2 * INDENT else wrap(text, width)
    if width < 2 * INDENT:
        return [cut(line((name, style)), width), *rows]
    first = line((left(name, INDENT - 1) + " ", style), *rows[0])
    return [first, *(line(" " * INDENT, *row) for row in rows[1:])]
