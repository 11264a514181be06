"""YAML as its users expect it: the 1.2 core schema, on PyYAML's parser, with a place for every key and value.

PyYAML resolves scalars by YAML 1.1, where `1e-3` is a word, `no` is False, `010` is 8, `2:4` is 124 and a duplicate key
is silent. Here the parser's nodes are read by the 1.2 core schema instead, and the writer quotes every word that either
version would take for something else.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import yaml

from engine.errors import RecipeError

Path = tuple[str | int, ...]

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_TAGS = {
    f"tag:yaml.org,2002:{t}"
    for t in ("null", "bool", "int", "float", "str", "map", "seq", "timestamp", "merge", "value")
}
_MOST_NODES = 1_000_000
_MOST_DIGITS = 4_000
_MOST_DEPTH = 100


@dataclasses.dataclass(frozen=True)
class Document:
    """A parsed file: plain values, and the place (line and column, from 1) of the key or item at each path.

    `problems` is only filled by a lenient `parse`: what else is wrong with a text that could be read all the same.
    """

    value: Any
    places: dict[Path, tuple[int, int]]
    name: str = "recipe"
    problems: tuple[str, ...] = ()

    def where(self, path: Path) -> str:
        """`file:line:column` of a path, or of the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        line, column = self.places.get(path, (1, 1))
        return f"{self.name}:{line}:{column}"


def scalar(text: str) -> Any:
    """A plain (unquoted) scalar by the 1.2 core schema."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.match(text):
        return int(text) if len(text) <= _MOST_DIGITS else float(text)  # longer ones Python refuses to read
    if _BASED.match(text):
        return int(text, 0)
    if _FLOAT.match(text):
        return float(text)
    if _SPECIAL.match(text):
        return float(text.replace(".", "", 1))
    return text


def parse(text: str, name: str = "recipe", *, lenient: bool = False) -> Document:
    """Parses one YAML document.

    Args:
        text: the document.
        name: of the file, for messages.
        lenient: where the text is YAML, leave what else is wrong to the reader of `problems`, who has more to say.

    Raises:
        RecipeError: not YAML, a duplicate key, a tag that asks for more than plain values, or aliases that explode.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise RecipeError([f"{place}: this is not YAML: {error.problem or error.context}"]) from None
    except RecursionError:
        raise RecipeError([f"{name}: nested too deep"]) from None
    except yaml.YAMLError as error:
        said = str(error).partition("\n")[0]
        raise RecipeError([f"{name}: this is not YAML: {said}"]) from None
    reader = _Reader(name)
    value = reader.read(root, (), set()) if root is not None else None
    if reader.problems and not lenient:
        raise RecipeError(reader.problems)
    return Document(value, reader.places, name, tuple(reader.problems))


class _Reader:
    """One walk over a node tree; collects all problems instead of stopping at the first."""

    def __init__(self, name: str) -> None:
        self.name, self.count = name, 0
        self.places: dict[Path, tuple[int, int]] = {}
        self.problems: list[str] = []

    def read(self, node: Any, path: Path, around: set[int]) -> Any:
        self.count += 1
        place = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.places.setdefault(path, place)
        if self.count > _MOST_NODES or id(node) in around:
            self._problem(place, "an alias that repeats itself without end")
            return None
        if len(path) > _MOST_DEPTH:
            self._problem(place, f"nested more than {_MOST_DEPTH} levels deep")
            return None
        if node.tag not in _TAGS:
            self._problem(place, f"the tag {node.tag!r} is not allowed: a recipe holds plain values only")
            return None
        if isinstance(node, yaml.ScalarNode):
            return node.value if node.style else scalar(node.value)  # plain is None or "", by loader
        inside = around | {id(node)}
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, i), inside) for i, item in enumerate(node.value)]
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(at, "a key must be a word")
                continue
            key = key_node.value
            if key in found:
                self._problem(at, f"{key}: given twice (first in line {self.places[(*path, key)][0]})")
                continue
            self.places[(*path, key)] = at
            found[key] = self.read(value_node, (*path, key), inside)
        return found

    def _problem(self, place: tuple[int, int], message: str) -> None:
        if self.count <= _MOST_NODES + 1:
            self.problems.append(f"{self.name}:{place[0]}:{place[1]}: {message}")


class _Dumper(yaml.SafeDumper):
    """Writes what both YAML versions read alike."""


def _word(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style: str | None
    lines = text.split("\n")
    if not all(line.isprintable() for line in lines):
        style = '"'  # PyYAML breaks plain and block text at Unicode's rarer line ends
    elif len(lines) > 1:
        style = "|" if all(line == line.strip() for line in lines) else '"'
    else:
        style = None if isinstance(scalar(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _word)


def dump(value: Any) -> str:
    """Plain values as YAML text: keys in the given order, small collections on one line."""
    return str(
        yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    )
