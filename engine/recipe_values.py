"""What may stand where in a recipe: values held against the catalog's parameters, and what is wrong in words."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from engine.catalog import Param
from engine.errors import near
from engine.yaml12 import Path

_WORDS: dict[str, str] = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a word",
    "ints": "a list of whole numbers",
    "floats": "a list of numbers",
    "strs": "a list of words",
    "map": "a mapping from names to numbers",
}


class Wrong(msgspec.Struct, frozen=True):
    """What is wrong with a value, in words; `at` is its place within a list or mapping."""

    message: str
    at: Path = ()


def check_param(param: Param, value: Any) -> Any:
    """The value as the parameter's type, or `Wrong`; the form of the Configure screen asks here as well."""
    if value is None and (param.optional or param.default is None):
        return None
    if param.type == "any":
        return value
    if param.type in ("ints", "floats", "strs"):
        if not isinstance(value, list | tuple):
            return Wrong(f"expected {_WORDS[param.type]}, got {said(value)}")
        one = msgspec.structs.replace(param, type=param.type[:-1], optional=False, default=msgspec.UNSET)
        items = [check_param(one, v) for v in value]
        return next((Wrong(w.message, (i,)) for i, w in enumerate(items) if isinstance(w, Wrong)), tuple(items))
    if param.type == "map":
        if not isinstance(value, Mapping):
            return Wrong(f"expected {_WORDS['map']}, got {said(value)}")
        one = msgspec.structs.replace(param, type="float", optional=False, default=msgspec.UNSET)
        pairs = {str(k): check_param(one, v) for k, v in value.items()}
        return next((Wrong(w.message, (k,)) for k, w in pairs.items() if isinstance(w, Wrong)), pairs)
    good = {
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
        "str": isinstance(value, str),
    }[param.type]
    if value is None and param.doc and param.required:
        return Wrong(f"write a value: {param.doc}")
    if not good:
        return Wrong(f"expected {_WORDS[param.type]}, got {said(value)}")
    if param.type in ("int", "float"):
        if not math.isfinite(value):
            return Wrong(f"expected a finite number, got {value}")
        if (param.low is not None and value < param.low) or (param.high is not None and value > param.high):
            return Wrong(f"must be {_range(param)}, got {value}")
    if param.choices and value not in param.choices:
        close = near(value, param.choices)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return Wrong(f"must be one of {', '.join(param.choices)}, got {value}{hint}")
    return value


def _range(param: Param) -> str:
    if param.low is not None and param.high is not None:
        return f"between {param.low:g} and {param.high:g}"
    return f"at least {param.low:g}" if param.low is not None else f"at most {param.high:g}"


def said(value: Any) -> str:
    """A wrong value as a sentence names it."""
    if value is None:
        return "nothing"
    return (
        f"{value!r}"
        if isinstance(value, str | int | float)
        else f"a {'list' if isinstance(value, list) else 'mapping'}"
    )


def unknown(what: str, name: str, known: Collection[str]) -> str:
    """That there is no such name, with the near ones, or with all."""
    close = near(name, known)
    if close:
        return f"unknown {what} {name!r} (did you mean {' or '.join(close)}?)"
    return f"unknown {what} {name!r}; known are {', '.join(known) or 'none'}"


_MESSAGES: dict[str, str] = {
    "int": "a whole number",
    "float": "a number",
    "str": "a word",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def plain_words(message: str, value: Any) -> str:
    """What msgspec says, in our words."""
    message = message.partition(" - at")[0]
    if found := re.match(r"Expected `(\w+)(?: \| null)?`, got", message):
        return f"expected {_MESSAGES.get(found[1], found[1])}, got {said(value)}"
    if found := re.match(r"Expected `\w+(?: \| null)?` (>=|<=) (.+)", message):
        return f"must be {'at least' if found[1] == '>=' else 'at most'} {found[2]}, got {said(value)}"
    return message
