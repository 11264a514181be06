"""A recipe in words, from the catalog's phrases: score, choose, when, until, then repair (methods.md, section 0)."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Any

from engine import catalog
from engine.recipe import Part, Prune, Recipe

_ASKED = "prune.target.sparsity"
_ONE = re.compile(r"(?<![\d.,])1 (epoch|step|round|batch)e?s\b")
_BACK = {"init": "each round from the first weights", "early": "each round from the weights of an early step"}
_CONTROLS = {
    "shuffle": "and as a control shuffle the mask inside each layer",
    "reinitialise": "and as a control put new random weights under the last mask",
}
_GROWN = {"gradient": "where the gradient is largest", "random": "by chance"}


def phrase(kind: catalog.Kind, part: Part) -> str:
    """One part in words: the catalog's phrase with its parameters filled in, or the name where there is none."""
    entry = catalog.entries(kind).get(part.name)
    if entry is None or not entry.words:
        return part.name
    return _ONE.sub(r"1 \1", _Words(entry).vformat(entry.words, (), part.params))


def sentence(recipe: Recipe) -> str:
    """What will be done to the network, as one sentence; a recipe without pruning says that it only trains."""
    epochs = recipe.train.epochs
    prune = recipe.prune
    if prune is None:
        return f"Train for {_many(epochs, 'epoch')}; prune nothing."
    by = phrase("criterion", prune.criterion)
    if (prune.criterion.name, prune.granularity.name) == ("activation", "unit"):
        by = "their mean activation"  # what the criterion is of single weights (Wanda) is something else
    until = "until the share in turn is gone" if _ASKED in recipe.sweep else phrase("target", prune.target)
    if prune.target.name == "pq_index" and not _sized_by_target(prune):
        until = f"for {_many(int(prune.target.get('rounds', 1)), 'round')}, whatever the PQ Index says"
    steps = [
        f"Score {phrase('granularity', prune.granularity)} by {by}",
        f"choose {phrase('scope', prune.scope)}",
        _when(prune),
        until,
    ]
    rounds = prune.schedule.name == "iterative" and (prune.target.name != "pq_index" or _sized_by_target(prune))
    if rounds and (back := _BACK.get(str(prune.schedule.get("rewind")))):
        steps.append(back)
    if control := _CONTROLS.get(str(prune.schedule.get("control"))):
        steps.append(control)
    if prune.schedule.name == "drop_grow":  # the score is for the first mask alone: that order is another one
        every = _many(int(prune.schedule.get("frequency", 1)), "step").removeprefix("1 ")
        grown = _GROWN.get(str(prune.schedule.get("grow")), str(prune.schedule.get("grow")))
        steps[2:] = [
            "before training",
            until,
            f"and every {every} of training drop the smallest and grow others {grown}",
        ]
    repairs = [
        phrase("repair", repair) + (", taught by the dense model too" if repair.get("distillation") else "")
        for repair in prune.repair
    ]
    then = f"; then {', then '.join(repairs)}" if repairs else "; repair nothing"
    points = " and ".join(_axis(key, values) for key, values in recipe.sweep.items())
    return f"{', '.join(steps)}{then}.{f' Again for {points}.' if points else ''}"


def _when(prune: Prune) -> str:
    """The schedule in words."""
    schedule = prune.schedule
    said = phrase("schedule", schedule)
    if _sized_by_target(prune):
        said = "in rounds"
    elif schedule.name == "iterative" and schedule.get("rounds") and prune.target.name == "sparsity":
        said = f"in {_many(int(schedule.get('rounds')), 'round')} that cut equal shares of what is left"
    return said


def _axis(key: str, values: tuple[Any, ...]) -> str:
    """One axis of a sweep; what is pruned by what is said as the sentence itself says it."""
    if key == "prune" and all(isinstance(v, Mapping) and set(v) == {"criterion", "granularity"} for v in values):
        return ", ".join(
            f"{_plainly('granularity', v['granularity'])} by {_plainly('criterion', v['criterion'])}" for v in values
        )
    return f"each {key.rpartition('.')[2]} of {_points(values, key)}"


def _plainly(kind: catalog.Kind, value: Any) -> str:
    """A part that is a bare name in words, with its defaults."""
    entry = catalog.entries(kind).get(str(value))
    return phrase(kind, Part(entry.name, {p.name: p.default for p in entry.params})) if entry else str(value)


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
