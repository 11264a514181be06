"""The registry of rules: how the channels of an operation's outputs come from those of its inputs.

A rule is a function of a `Call`. What has none is a barrier: its channels stay, and the report says so.

    @engine.surgery.rule(MyScale)
    def my_scale(call):
        axis = call.inputs[0].axis(-1)
        call.follows(call.op.scale, 0, axis)        # a vector with one entry a channel
        call.resize(axis, "width")                  # config["width"] is how many of them there are
        return call.inputs[0]
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from engine.surgery.call import Call

Rule = Callable[["Call"], Any]
_R = TypeVar("_R", bound=Callable[..., Any])
_rules: dict[type | str, Rule] = {}

BOOK = ("linear", "convolution", "normalization", "elementwise", "shaping", "merging", "attention", "recurrent", "ops")


def rule(*targets: type | str) -> Callable[[_R], _R]:
    """Registers a rule for layer classes, or for `keras.ops` operations by name (`"ops.Relu"`). The last one wins.

    The rule is given a `Call` and returns the output's `Flow`, or a list with one `Flow` an output. It also holds for
    subclasses that override neither `call` nor `build`.
    """

    def add(function: _R) -> _R:
        for target in targets:
            _rules[target] = function
        return function

    return add


def find(operation: Any) -> Rule | None:
    """The rule of a layer or an operation of the graph, or None."""
    _load()
    cls = type(operation)
    if cls in _rules:
        return _rules[cls]
    for home in ("ops", "applications"):
        if f"keras.src.{home}." in cls.__module__ + ".":
            return _rules.get(f"{home}.{cls.__name__}")
    for base in cls.__mro__[1:]:
        if base in _rules:
            same = getattr(cls, "call", None) is getattr(base, "call", None)
            same = same and getattr(cls, "build", None) is getattr(base, "build", None)
            return _rules[base] if same else None
    return None


@lru_cache(maxsize=1)
def _load() -> None:
    """The rules that ship, without overriding those that a user registered first."""
    own = dict(_rules)
    for name in BOOK:
        import_module(f"engine.surgery.rulebook.{name}")
    _rules.update(own)
