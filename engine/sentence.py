"""A recipe in words, from the catalog's phrases: score, choose, when, until, then repair (methods.md, section 0)."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from engine import catalog
from engine.recipe import Part, Prune, Recipe

_ASKED = "prune.target.sparsity"


def phrase(kind: catalog.Kind, part: Part) -> str:
    """One part in words: the catalog's phrase with its parameters filled in, or the name where there is none."""
    entry = catalog.entries(kind).get(part.name)
    if entry is None or not entry.words:
        return part.name
    return _Words(entry).vformat(entry.words, (), part.params)


def sentence(recipe: Recipe) -> str:
    """What will be done to the network, as one sentence; a recipe without pruning says that it only trains."""
    epochs = recipe.train.epochs
    prune = recipe.prune
    if prune is None:
        return f"Train for {_many(epochs, 'epoch')}; prune nothing."
    by = phrase("criterion", prune.criterion)
    if (prune.criterion.name, prune.granularity.name) == ("activation", "unit"):
        by = "their mean activation"  # what the criterion is of single weights (Wanda) is something else
    steps = [
        f"Score {phrase('granularity', prune.granularity)} by {by}",
        f"choose {phrase('scope', prune.scope)}",
        "in rounds" if _sized_by_target(prune) else phrase("schedule", prune.schedule),
        "until the share in turn is gone" if _ASKED in recipe.sweep else phrase("target", prune.target),
    ]
    repairs = [phrase("repair", repair) for repair in prune.repair]
    then = f"; then {', then '.join(repairs)}" if repairs else "; repair nothing"
    points = " and ".join(f"each {key.rpartition('.')[2]} of {_points(v, key)}" for key, v in recipe.sweep.items())
    return f"{', '.join(steps)}{then}.{f' Again for {points}.' if points else ''}"


def _sized_by_target(prune: Prune) -> bool:
    """True for rounds whose size is not the schedule's share: the PQ Index says how much goes."""
    return prune.target.name == "pq_index" and prune.target.get("baseline", "none") == "none"


def _points(values: tuple[Any, ...], key: str) -> str:
    words = [
        " with ".join(str(v) for v in value.values() if not isinstance(v, Mapping)) if isinstance(value, Mapping)
        else value_in_words(value, is_share=key == _ASKED)
        for value in values
    ]  # fmt: skip
    return ", ".join(filter(None, words)) if all(words) else f"{len(values)} kinds"


def network(recipe: Recipe) -> str:
    """What it is done to: the data, the model with its sizes, and how long the training is."""
    data, model = phrase("data", recipe.data), phrase("model", recipe.model)
    return f"On {data}, with {model}; {_many(recipe.train.epochs, 'epoch')} of training."


def goal(recipe: Recipe) -> str:
    """The target in a word or two, for a menu: `90 %`, `2:4`, `auto`, `sweep`."""
    prune = recipe.prune
    if prune is None:
        return "dense"
    if prune.granularity.name == "n:m":
        return f"{prune.granularity.get('n')}:{prune.granularity.get('m')}"
    if recipe.sweep:
        return "sweep"
    value = prune.target.get(prune.target.name)
    if prune.target.name == "sparsity" and isinstance(value, int | float):
        return value_in_words(value, is_share=True)
    if isinstance(value, int | float):
        return f"{prune.target.name} {value_in_words(value, is_share=True)}".replace("accuracy_drop", "drop")
    return "auto"


def value_in_words(value: Any, *, is_share: bool = False) -> str:
    """A parameter's value: shares as percentages, lists with commas, yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if is_share and isinstance(value, float | int) and 0 <= value <= 1:
        return f"{100 * value:.4g} %"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(value_in_words(v) for v in value)
    return str(value)


class _Words(string.Formatter):
    """Fills in a phrase; a parameter that lies between 0 and 1 is a share and said in percent."""

    def __init__(self, entry: catalog.Entry) -> None:
        self.entry = entry

    def get_value(self, key: int | str, args: Any, kwargs: Any) -> Any:
        return (str(key), kwargs.get(key))

    def format_field(self, value: Any, format_spec: str) -> str:
        if not isinstance(value, tuple):
            return format(value, format_spec)
        name, worth = value
        param = self.entry.param(name)
        share = param is not None and (param.high == 1 or "share" in param.doc)
        return value_in_words(worth, is_share=share and isinstance(worth, float))


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
