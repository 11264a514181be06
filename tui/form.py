"""A recipe as a form: fields made from the catalog, and changes to them as pure functions on plain values."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import msgspec

from engine import catalog
from engine.catalog import Param
from engine.errors import RecipeError
from engine.patterns import pattern_sparsity
from engine.recipe import Part, Recipe
from engine.recipe_reading import recipe_from
from engine.recipe_values import Wrong, check_param
from engine.yaml12 import Document

Path = tuple[str | int, ...]
Plain = dict[str, Any]

_TOP: tuple[tuple[Path, Param], ...] = (
    (("name",), Param(name="name", default="x", type="str", doc="what the recipe and its sessions are called")),
    (("title",), Param(name="title", default="", type="str", doc="one line for the list of presets")),
)
_TRAIN: tuple[tuple[Path, Param], ...] = (
    (("train", "epochs"), Param(name="epochs", default=10, type="int", doc="epochs of training", low=0, high=100_000)),
    (
        ("train", "batch_size"),
        Param(name="batch size", default=64, type="int", doc="examples a step", low=1, high=1_000_000),
    ),
    (
        ("train", "patience"),
        Param(
            name="patience",
            type="int",
            doc="stop when validation has not improved for so many epochs",
            low=1,
            optional=True,
        ),
    ),
)
_END: tuple[tuple[Path, Param], ...] = (
    (
        ("measure", "dense_control"),
        Param(name="dense control", default=True, type="bool", doc="train the same model unpruned, to compare"),
    ),
    (("seed",), Param(name="seed", default=0, type="int", doc="of all chance", low=0, high=2**31 - 1)),
)
_SENTENCE: tuple[catalog.Kind, ...] = ("criterion", "granularity", "scope", "schedule", "target")


class Field(msgspec.Struct, frozen=True):
    """One line of the form.

    Attributes:
        path: where the value is in the plain recipe.
        label: what it is called. depth: 0 for a part, 1 for its parameters. kind: of a part, else "".
        value: as it stands.
        param: type, bounds and doc; None for a part.
        heading: the section that begins with it, or "".
    """

    path: Path
    label: str
    depth: int
    value: Any
    kind: catalog.Kind | None = None
    param: Param | None = None
    heading: str = ""

    @property
    def key(self) -> str:
        """Names the field in the list."""
        return ".".join(map(str, self.path))

    @property
    def choices(self) -> tuple[str, ...]:
        """The words to choose from; () where any value in bounds will do."""
        if self.kind is not None:
            return tuple(catalog.entries(self.kind))
        assert self.param is not None
        return ("true", "false") if self.param.type == "bool" else self.param.choices

    @property
    def doc(self) -> str:
        """What it means, with its bounds."""
        if self.kind is not None:
            entry = catalog.entries(self.kind).get(str(self.value))
            return entry.summary if entry else ""
        assert self.param is not None
        low, high = self.param.low, self.param.high
        bounds = (
            f"{bound(low)} to {bound(high)}"
            if low is not None and high is not None
            else f"from {bound(low)}"
            if low is not None
            else ""
        )
        return f"{self.param.doc}{f' ({bounds})' if bounds else ''}{', may be none' if self.param.optional else ''}"


def plain(recipe: Recipe) -> Plain:
    """A recipe with every part as a mapping of its name and all its parameters."""
    out: Plain = msgspec.to_builtins(recipe)
    out["data"], out["model"] = _flat(recipe.data), _flat(recipe.model)
    out["train"]["optimizer"] = _flat(recipe.train.optimizer)
    out["train"]["learning_rate"] = _flat(recipe.train.learning_rate)
    if recipe.prune is not None:
        out["prune"] = {kind: _flat(getattr(recipe.prune, kind)) for kind in _SENTENCE}
        out["prune"]["repair"] = [_flat(part) for part in recipe.prune.repair]
    if not recipe.sweep:
        out.pop("sweep", None)
    return out


def check(values: Plain) -> tuple[Recipe | None, tuple[str, ...]]:
    """The recipe that the form says, or what is wrong with it."""
    try:
        return recipe_from(Document(values, {}, "form")), ()
    except RecipeError as error:
        return None, tuple(problem.partition(": ")[2] or problem for problem in error.problems)


def fields(values: Plain) -> list[Field]:
    """All lines of the form: first how it is pruned, which is what one came to change."""
    out = [Field(path, p.name, 0, get(values, path), param=p) for path, p in _TOP]
    if isinstance(values.get("prune"), dict):
        for at, kind in enumerate(_SENTENCE):
            out += _part(values, ("prune", kind), kind, kind, heading="" if at else "pruning")
        repairs = values["prune"].get("repair") or []
        for at in range(len(repairs) + 1):
            out += _part(values, ("prune", "repair", at), "repair", "repair" if not at else "then repair")
    out += _part(values, ("data",), "data", "data", heading="network")
    out += _part(values, ("model",), "model", "model")
    out += [
        Field(path, p.name, 0, get(values, path), param=p, heading="" if at else "training")
        for at, (path, p) in enumerate(_TRAIN)
    ]
    out += _part(values, ("train", "optimizer"), "optimizer", "optimizer")
    out += _part(values, ("train", "learning_rate"), "learning_rate", "learning rate")
    return out + [
        Field(path, p.name, 0, get(values, path), param=p, heading="" if at else "the rest")
        for at, (path, p) in enumerate(_END)
    ]


def put(values: Plain, field: Field, value: Any) -> Plain:
    """The form with one field changed; another part brings its own parameters, with their defaults."""
    out = copy.deepcopy(values)
    if field.kind is None:
        _set(out, field.path, value)
        _follow_pattern(out, field)
        return out
    if value == field.value:  # chosen once more: its parameters stay as they are
        return out
    entry = catalog.entries(field.kind)[value]
    part = {"name": value, **{p.name: None if p.required else p.default for p in entry.params}}
    if field.kind == "repair":
        repairs = out["prune"].setdefault("repair", [])
        at = int(field.path[-1])
        repairs[at : at + 1] = [] if value == "none" else [part]
    else:
        _set(out, field.path, part)
        _follow_pattern(out, field)
    return out


def _follow_pattern(values: Plain, field: Field) -> None:
    """n:m fixes the sparsity: what the form says of it follows a change of the pattern."""
    if field.path[:2] != ("prune", "granularity"):
        return
    grain, target = values["prune"]["granularity"], values["prune"].get("target")
    if grain["name"] == "n:m" and grain["n"] <= grain["m"] and target and target["name"] == "sparsity":
        target["sparsity"] = float(pattern_sparsity(grain["n"], grain["m"]))


def step(values: Plain, field: Field, by: int) -> Plain:
    """The choice or number before or after this one; stays where there is none."""
    if field.choices:
        names = field.choices
        now = str(field.value).lower() if isinstance(field.value, bool) else str(field.value)
        at = (names.index(now) + by) % len(names) if now in names else 0
        value: Any = names[at] == "true" if isinstance(field.value, bool) else names[at]
        return put(values, field, value)
    number = field.value
    if isinstance(number, bool) or not isinstance(number, int | float) or field.param is None:
        return values
    if field.param.type == "int":
        value = int(number) + by * max(1, abs(int(number)) // 10)
    elif field.param.high == 1:
        value = round(number + by * 0.05, 10)
    else:
        value = float(f"{number * (1.25 if by > 0 else 0.8):.3g}")
    bounds = (field.param.low, field.param.high)
    value = max(value, bounds[0]) if bounds[0] is not None else value
    value = min(value, bounds[1]) if bounds[1] is not None else value
    return put(values, field, int(value) if field.param.type == "int" else value)


def read(field: Field, text: str) -> Any:
    """What was typed as a value of the field, or `Wrong`."""
    from engine.recipe_reading import parse_override
    from engine.yaml12 import scalar

    assert field.param is not None
    typed = text.strip()
    if field.param.type == "str":
        return check_param(field.param, typed)
    if typed in ("", "none"):
        value: Any = {"strs": [], "map": {}}.get(field.param.type)  # as `said` says of what is empty
    else:
        brackets = {"ints": "[]", "floats": "[]", "strs": "[]", "map": "{}"}.get(field.param.type, "")
        if brackets and typed[0] != brackets[0]:
            typed = f"{brackets[0]}{typed}{brackets[1]}"
        try:
            value = parse_override(f"value={typed}")[1]
        except RecipeError as error:
            return Wrong(error.problems[0].partition(": ")[2])
        if field.param.type == "float" and isinstance(value, str) and value.endswith("%"):  # as shares are shown
            number = scalar(value[:-1].strip())
            value = number / 100 if isinstance(number, int | float) and not isinstance(number, bool) else value
    if value is None and not field.param.optional and field.param.default is not None:
        return Wrong("write a value")
    return check_param(field.param, value)


def said(value: Any) -> str:
    """A value as one would type it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(said, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {said(v)}" for k, v in value.items()) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def bound(value: float) -> str:
    """A bound as one would write it: 1,000,000 and not 1e+06."""
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def get(values: Plain, path: Path) -> Any:
    """The value at a path; None where there is none."""
    found: Any = values
    for key in path:
        if isinstance(found, list):
            found = found[int(key)] if int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, dict) else None
    return found


def _set(values: Plain, path: Path, value: Any) -> None:
    found: Any = values
    for key in path[:-1]:
        found = found[key]
    found[path[-1]] = value


def _flat(part: Part) -> Plain:
    return {"name": part.name, **msgspec.to_builtins(part.params)}


def _part(values: Plain, path: Path, kind: catalog.Kind, label: str, *, heading: str = "") -> list[Field]:
    part = get(values, path)
    name = part.get("name") if isinstance(part, dict) else "none"
    out = [Field(path, label, 0, name, kind=kind, heading=heading)]
    entry = catalog.entries(kind).get(str(name))
    if entry is not None and isinstance(part, dict):
        out += [Field((*path, p.name), p.name.replace("_", " "), 1, part.get(p.name), param=p) for p in entry.params]
    return out
