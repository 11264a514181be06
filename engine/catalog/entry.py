"""What the catalog says of one part: its name, words, formula, source and parameters."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Kind = Literal[
    "criterion", "granularity", "scope", "schedule", "target", "repair", "data", "model", "optimizer", "learning_rate"
]
Type = Literal["int", "float", "bool", "str", "ints", "floats", "strs", "map", "any"]


class Param(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a part.

    Attributes:
        name: the key in a recipe, and the field of the dataclass that implements the part.
        type: `ints` is a list of whole numbers, `map` a mapping from names to numbers.
        doc: one line for forms, cards and `--help`; says the unit.
        default: the value when the recipe is silent; `msgspec.UNSET` makes the parameter required.
        low, high: inclusive bounds of the number (of each element, for lists).
        choices: the words allowed.
        optional: None is allowed (and means what `doc` says).
    """

    name: str
    type: Type
    doc: str
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def required(self) -> bool:
        """True when a recipe must give it."""
        return self.default is msgspec.UNSET


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One part that a recipe can name. Menus, validation, method cards, JSON Schema and docs come from it.

    Attributes:
        kind: the slot in the sentence (criterion, scope, ...).
        name: the word in a recipe.
        title: for menus.
        family: groups entries of a kind in menus.
        summary: one or two sentences, plain words.
        formula: the definition, one line, in the vocabulary of the field.
        source: who it is from (authors, year, equation).
        when: when to use it, and when not.
        words: the phrase for the recipe's sentence; `{param}` is replaced by its value.
        params: in the order of a form.
        needs: what it cannot do without: "data", "labels", "gradients", "graph", "batchnorm", "network".
        granularities: where a criterion (or scope) applies: "weight", "unit", "block", "n:m"; () is everywhere.
    """

    kind: Kind
    name: str
    title: str
    summary: str
    family: str = ""
    formula: str = ""
    source: str = ""
    when: str = ""
    words: str = ""
    params: tuple[Param, ...] = ()
    needs: frozenset[str] = frozenset()
    granularities: tuple[str, ...] = ()

    def param(self, name: str) -> Param | None:
        """The parameter of that name, or None."""
        return next((p for p in self.params if p.name == name), None)
