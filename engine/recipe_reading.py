"""From plain values to a typed recipe: every problem of a file is found at once, with its place and a suggestion."""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from engine import catalog
from engine.catalog import Entry, Param
from engine.errors import RecipeError
from engine.patterns import by_pattern
from engine.recipe import Part, Recipe
from engine.recipe_values import Wrong, check_param, plain_words, said, unknown
from engine.yaml12 import Document, Path, scalar

_BLOCK = re.compile(r"block:(\d{1,9})x(\d{1,9})\Z")
_N_M = re.compile(r"(\d{1,9}):(\d{1,9})\Z")
_BAD = object()


def recipe_from(document: Document, *, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Validates a document against the catalog and fills in every default.

    Raises:
        RecipeError: `problems` holds one line each, `file:line:column: key: message (did you mean ...?)`.
    """
    value = document.value
    if not isinstance(value, dict):
        empty = "this is empty; " if value is None else ""
        told = f"{document.where(())}: {empty}a recipe is a mapping of keys (name, data, model, train, prune)"
        raise RecipeError([*document.problems, told])
    reader = _Reader(document)
    if overrides:
        value = reader.override(value, overrides)
    recipe = reader.struct(Recipe, value, ())
    if not reader.problems and recipe.prune is not None and recipe.prune.granularity.name == "n:m":
        recipe, problems = by_pattern(recipe, value["prune"].get("target"))
        for path, message in problems:
            reader.problem(path, message)
    if not reader.problems and recipe.sweep:
        reader.sweep(value, recipe)
    if reader.problems:
        raise RecipeError(reader.problems)
    assert isinstance(recipe, Recipe)
    return recipe


def parse_override(text: str) -> tuple[str, Any]:
    """`prune.target.sparsity=0.95` as key and value; the value is read as YAML.

    Raises:
        RecipeError: there is no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError([f"--set {text}: write it as KEY=VALUE, as in --set prune.target.sparsity=0.95"])
    if value[:1] in "[{":
        from engine.yaml12 import parse

        return key.strip(), parse(value, f"--set {key}").value
    return key.strip(), scalar(value.strip().strip("\"'")) if value[:1] not in "\"'" else value.strip().strip("\"'")


def part_to_plain(part: Part, kind: catalog.Kind) -> Any:
    """A part as a person writes it: its name, or the name with the parameters that are not the defaults."""
    if kind == "granularity":
        if part.name == "n:m":
            return f"{part.get('n')}:{part.get('m')}"
        if part.name == "block" and part.get("pooling", "average") == "average":
            return f"block:{part.get('rows')}x{part.get('cols')}"
    entry = catalog.entries(kind).get(part.name)
    given = {
        k: list(v) if isinstance(v, tuple) else v
        for k, v in part.params.items()
        if entry is None or (p := entry.param(k)) is None or p.required or v != p.default or k == part.name
    }
    if not given:
        return part.name
    return given if part.name in given else {"name": part.name, **given}


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[str] = list(document.problems)
        self.overridden: dict[Path, str] = {}

    def problem(self, path: Path, message: str) -> Any:
        key = ".".join(map(str, path))
        source = next((s for p, s in self.overridden.items() if path[: len(p)] == p), None)
        if source is None and path and path not in self.document.places:  # only an override can have brought it
            source = next((s for p, s in self.overridden.items() if p[: len(path)] == path), None)
        place = source or self.document.where(path)
        shown = "" if not key or place == f"--set {key}" else f"{key}: "
        self.problems.append(f"{place}: {shown}{message}")
        return _BAD

    # ---- overrides -------------------------------------------------------------------------------------------------

    def override(self, value: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
        """The document with `--set` values laid over it; a part written as a bare name becomes a mapping first."""
        tree: dict[str, Any] = _copied(value)
        for dotted, new in overrides.items():
            path = tuple(dotted.split("."))
            self.overridden[path] = f"--set {dotted}"
            node: Any = tree
            for depth, step in enumerate(path[:-1]):
                below = node.get(step)
                if isinstance(below, list) and len(below) == 1:
                    below = node[step] = below[0]
                if isinstance(below, str):
                    below = node[step] = _spelled(below, self._kind_at(path[: depth + 1]))
                if not isinstance(below, dict):
                    below = node[step] = self._default_at(path[: depth + 1]) if below is None else {}
                node = below
            if path[-1] == "name" and len(path) > 1:
                node.clear()  # another part: the old one's parameters are not its own
            kind = self._kind_at(path[:-1])
            if kind and _names_another(path[-1], node, kind):
                node.clear()  # target.epsilon=... replaces target.sparsity, data.npz=... another data set
            old = node.get(path[-1])
            if isinstance(new, Mapping) and isinstance(old, dict) and not self._kind_at(path):
                node[path[-1]] = {**old, **new}  # a group of keys (prune, train): those not named stay
            else:
                node[path[-1]] = new
        return tree

    def _kind_at(self, path: Path) -> catalog.Kind | None:
        hints: Any = Recipe
        for step in path:
            if not (isinstance(hints, type) and issubclass(hints, msgspec.Struct)):
                return None
            hint = _hints(hints).get(str(step))
            if hint is None:
                return None
            kind = _part_kind(hint)
            if kind:
                return kind
            hints = next((a for a in (*get_args(hint), hint) if isinstance(a, type)), None)
        return None

    def _default_at(self, path: Path) -> dict[str, Any]:
        """The part that stands where a recipe says nothing, by its name; nothing where there is none."""
        hints: Any = Recipe
        for step in path[:-1]:
            hint = _hints(hints).get(str(step)) if isinstance(hints, type) else None
            hints = next((a for a in (*get_args(hint), hint) if isinstance(a, type)), None)
            if hints is None or not issubclass(hints, msgspec.Struct):
                return {}
        field = next((f for f in _fields(hints) if f.name == path[-1]), None)
        return {"name": field.default.name} if field is not None and isinstance(field.default, Part) else {}

    # ---- structs and leaves ----------------------------------------------------------------------------------------

    def struct(self, cls: type[msgspec.Struct], value: Any, path: Path) -> Any:
        if not isinstance(value, dict):
            return self.problem(
                path, f"expected a mapping of keys ({', '.join(cls.__struct_fields__)}), got {said(value)}"
            )
        hints = _hints(cls)
        for key in value:
            if key not in hints:
                self.problem((*path, key), unknown("key", key, hints))
        made: dict[str, Any] = {}
        for field in _fields(cls):
            if field.name in value:
                made[field.name] = self.field(hints[field.name], value[field.name], (*path, field.name))
            elif field.required:
                self.problem(path, f"{field.name} is missing")
                made[field.name] = _BAD
            else:
                made[field.name] = self._default(hints[field.name], field, path)
        return _BAD if any(v is _BAD for v in made.values()) else cls(**made)

    def _default(self, hint: Any, field: Any, path: Path) -> Any:
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        kind = _part_kind(hint)
        if kind and isinstance(default, Part):
            return self.part(kind, default.name, (*path, field.name))
        if isinstance(default, msgspec.Struct):
            return self.struct(type(default), {}, (*path, field.name))
        return default

    def field(self, hint: Any, value: Any, path: Path) -> Any:
        kind = _part_kind(hint)
        if kind == "repair":
            items = value if isinstance(value, list) else ([] if value in (None, "none") else [value])
            parts = [self.part(kind, v, (*path, i) if isinstance(value, list) else path) for i, v in enumerate(items)]
            return _BAD if any(p is _BAD for p in parts) else tuple(p for p in parts if p.name != "none")
        if kind:
            return self.part(kind, value, path)
        if get_origin(hint) is Annotated and get_origin(get_args(hint)[0]) in (tuple, dict):
            hint = get_args(hint)[0]
        if get_origin(hint) is tuple and isinstance(value, list):
            made = [self.field(get_args(hint)[0], v, (*path, i)) for i, v in enumerate(value)]
            return _BAD if any(v is _BAD for v in made) else tuple(made)
        if get_origin(hint) is dict and isinstance(value, dict):
            found = {k: self.field(get_args(hint)[1], v, (*path, k)) for k, v in value.items()}
            return _BAD if any(v is _BAD for v in found.values()) else found
        if named := _names(hint):
            return value if value in named[1] else self.problem(path, unknown(named[0], str(value), named[1]))
        options = [a for a in get_args(hint) if a is not types.NoneType] if _is_union(hint) else [hint]
        if _is_union(hint) and value is None:
            return None
        for option in options:
            if isinstance(option, type) and issubclass(option, msgspec.Struct):
                return self.struct(option, value, path)
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            return self.problem(path, plain_words(str(error), value))

    # ---- parts -----------------------------------------------------------------------------------------------------

    def part(self, kind: catalog.Kind, value: Any, path: Path) -> Any:
        entries = catalog.entries(kind)
        at = (*path, "name") if isinstance(value, dict) and "name" in value else path
        if isinstance(value, str):
            value = _spelled(value, kind)
        elif kind == "granularity" and isinstance(value, int | float):
            value = {"name": str(value)}
        if not isinstance(value, dict):
            return self.problem(path, f"expected the name of a {kind} or a mapping with `name`, got {said(value)}")
        name = value.get("name")
        if name is None:
            named = [k for k in value if k in entries]
            if len(named) != 1:
                return self.problem(path, f"name is missing: which {kind}? One of {', '.join(entries)}")
            name = named[0]
        if not isinstance(name, str) or name not in entries:
            return self.problem(at, unknown(kind, str(name), entries))
        return self._params(entries[name], value, path)

    def _params(self, entry: Entry, value: dict[str, Any], path: Path) -> Any:
        known = {p.name for p in entry.params}
        bad = False
        for key in value:
            if key != "name" and key not in known:
                self.problem((*path, key), unknown(f"parameter of {entry.kind} {entry.name}", key, known))
                bad = True
        params: dict[str, Any] = {}
        for param in entry.params:
            if param.name in value:
                params[param.name] = self.param(param, value[param.name], (*path, param.name))
            elif param.required:
                params[param.name] = self.problem(path, f"{entry.kind} {entry.name} needs {param.name} ({param.doc})")
            else:
                params[param.name] = param.default
        return _BAD if bad or any(v is _BAD for v in params.values()) else Part(entry.name, params)

    def param(self, param: Param, value: Any, path: Path) -> Any:
        """One parameter, checked for type, bounds and choices."""
        checked = check_param(param, value)
        return checked if not isinstance(checked, Wrong) else self.problem((*path, *checked.at), checked.message)

    # ---- sweeps ----------------------------------------------------------------------------------------------------

    def sweep(self, value: dict[str, Any], recipe: Recipe) -> None:
        """Each point of each axis must itself be a valid recipe."""
        for key, points in recipe.sweep.items():
            if not points:
                self.problem(("sweep", key), "there is nothing in the list")
            for i, point in enumerate(points):
                try:
                    recipe_from(
                        Document({k: v for k, v in value.items() if k != "sweep"}, {}, "sweep"), overrides={key: point}
                    )
                except RecipeError as error:
                    message = error.problems[0].partition(": ")[2]
                    self.problem(("sweep", key, i), message)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


@functools.cache
def _fields(cls: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(cls)


def _spelled(text: str, kind: catalog.Kind | None) -> dict[str, Any]:
    """A part written as one word, as a mapping."""
    if kind == "granularity":
        if found := _BLOCK.match(text):
            return {"name": "block", "rows": int(found[1]), "cols": int(found[2])}
        if found := _N_M.match(text):
            return {"name": "n:m", "n": int(found[1]), "m": int(found[2])}
    return {"name": text}


def _names_another(key: str, node: Mapping[str, Any], kind: catalog.Kind) -> bool:
    """Whether a key names a part by itself (`epsilon`, `npz`), and another one than the part that is there."""
    entries = catalog.entries(kind)
    named = entries.get(key)
    if named is None or named.param(key) is None:
        return False
    name = node.get("name") or next((k for k in node if k in entries), None)
    here = entries.get(name) if isinstance(name, str) else None
    return here is None or here.param(key) is None


def _part_kind(hint: Any) -> catalog.Kind | None:
    if get_origin(hint) is Annotated:
        for meta in hint.__metadata__:
            if isinstance(meta, msgspec.Meta) and meta.extra and "kind" in meta.extra:
                kind: catalog.Kind = meta.extra["kind"]
                return kind
    return None


def _names(hint: Any) -> tuple[str, tuple[str, ...]] | None:
    """What a value names, and all the names there are; None where any value may stand."""
    if get_origin(hint) is not Annotated or get_origin(get_args(hint)[0]) is not Literal:
        return None
    title = next((m.title for m in hint.__metadata__ if isinstance(m, msgspec.Meta) and m.title), "name")
    return title, get_args(get_args(hint)[0])


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    return [_copied(v) for v in value] if isinstance(value, list) else value
