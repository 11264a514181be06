"""The smaller model: the same graph with other sizes, and the weights that stay.

Layers are made inside a `StatelessScope`, so no initialiser runs: every variable gets its final value at once.
"""

from __future__ import annotations

import contextlib
import inspect
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.errors import ModelError
from engine.layout import own_variables, parts
from engine.surgery.flow import Array
from engine.surgery.plan import Plan
from engine.surgery.trace import functional

_TROUBLE = (ValueError, TypeError, NotImplementedError, KeyError, AttributeError)
# What these hold (a function, a vocabulary) is no part of their config, and nothing in training changes it.
_SHARED = ("Lambda", "TextVectorization", "StringLookup", "IntegerLookup", "Discretization")


def rebuild(plan: Plan, folds: Mapping[int, Array] | None = None) -> tuple[keras.Model, dict[int, keras.Variable]]:
    """The model without the channels that the plan takes.

    Args:
        plan: what goes.
        folds: by the id of a layer of the old model, what is added to its bias (in its old size) first; a layer without
            a bias gets one.

    Returns:
        The new model, and its variable for each old one, by the old one's id. The model is not compiled.

    Raises:
        ModelError: a layer cannot be made again from its own config.
    """
    try:
        maker, model, pairs = _made(plan, dict(folds or {}), keras.StatelessScope())
    except _TROUBLE:
        # A layer that makes variables from values (not initialisers) cannot do so in the scope.
        try:
            maker, model, pairs = _made(plan, dict(folds or {}), contextlib.nullcontext())
        except _TROUBLE as error:
            raise ModelError(
                f"{plan.trace.model.name} cannot be built again: {str(error).splitlines()[0]}",
                todo="Every custom layer needs get_config and from_config that restore it",
            ) from error
    for _, new in maker.made.values():
        if isinstance(new, keras.layers.Normalization) and new.built:
            new.finalize_state()  # it keeps its mean and variance beside the variables too
    return model, pairs


def _made(plan: Plan, folds: dict[int, Array], scope: Any) -> tuple[_Maker, keras.Model, dict[int, keras.Variable]]:
    maker = _Maker(plan, folds)
    with scope:
        model = maker.model(plan.trace.model)
        pairs = maker.fill()
    return maker, model, pairs


def take(plan: Plan, variable: Any, value: Array) -> Array:
    """The part of an array of a variable's shape that stays with the variable."""
    for axis in range(len(variable.shape)):
        slot = plan.trace.slots.get((id(variable), axis))
        if slot is not None:
            kept = plan.kept(slot.labels)
            if not kept.all():
                value = np.compress(kept, value, axis=axis)
    return value


class _Maker:
    """Makes each operation once, whatever the number of places that share it."""

    def __init__(self, plan: Plan, folds: dict[int, Array]) -> None:
        self.plan, self.folds = plan, folds
        self.made: dict[int, tuple[Any, Any]] = {}

    def model(self, old: Any) -> Any:
        """A nested or whole model again, over new layers."""
        if isinstance(old, keras.Sequential):
            new: Any = keras.Sequential([self.operation(layer) for layer in old._layers], name=old.name)
            for x, y in zip(old.inputs, new.inputs, strict=True):
                y.name = x.name
        else:
            new = self._functional(old)
        if not old._trainable:
            new._trainable = False
        return new

    def operation(self, old: Any) -> Any:
        """A layer or operation again, with the sizes that the plan leaves."""
        if id(old) not in self.made:
            if functional(old) is not None:
                new = self.model(old)
            elif isinstance(old, keras.layers.Layer):
                new = self._layer(old)
            else:
                new = self._op(old)
            self.made[id(old)] = old, new
        return self.made[id(old)][1]

    def _functional(self, old: Any) -> Any:
        tensors = {id(x): self.operation(x._keras_history.operation).output for x in old.inputs}
        for x in old.inputs:
            tensors[id(x)].name = x.name  # what a dict of inputs is matched by
        for depth in sorted(old._nodes_by_depth, reverse=True):
            for node in old._nodes_by_depth[depth]:
                if node.is_input or any(id(x) not in tensors for x in node.input_tensors):
                    continue
                args, kwargs = node.arguments.fill_in(tensors)
                if id(node) in self.plan.trace.arguments:
                    args, kwargs = self.plan.trace.arguments[id(node)](args, kwargs, self.plan.kept)
                made = self.operation(node.operation)(*args, **kwargs)
                for x, y in zip(node.outputs, keras.tree.flatten(made), strict=True):
                    tensors[id(x)] = y
        inputs = keras.tree.map_structure(lambda x: tensors[id(x)], old.input)
        outputs = keras.tree.map_structure(lambda x: tensors[id(x)], old.output)
        # A subclass with a constructor of its own cannot be made from tensors: its graph becomes a plain model.
        same = {"inputs", "outputs"} <= set(inspect.signature(type(old).__init__).parameters)
        return (type(old) if same else keras.Model)(inputs, outputs, name=old.name)

    def _layer(self, old: Any) -> Any:
        if type(old).__name__ in _SHARED and id(old) not in self.plan.trace.edits:
            return _twin(old)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a lambda is unsafe to load: it is handed over, not loaded
            config = self._edited(old, old.get_config())
        wrapper = keras.layers.Wrapper
        if isinstance(old, wrapper) and type(old).from_config.__func__ is wrapper.from_config.__func__:
            del config["layer"]  # what it wraps may be used elsewhere as well, and is made once
            return type(old)(self.operation(old.layer), **config)
        return type(old).from_config(config)

    def _op(self, old: Any) -> Any:
        if id(old) in self.plan.trace.edits:
            try:
                return type(old).from_config(self._edited(old, old.get_config()))
            except NotImplementedError:  # it cannot be written down, and need not be
                pass
        new = _twin(old)
        if id(old) in self.plan.trace.edits:
            vars(new).update(self._edited(old, dict(vars(new))))
        return new

    def _edited(self, old: Any, config: dict[str, Any]) -> dict[str, Any]:
        for edit in self.plan.trace.edits.get(id(old), ()):
            edit(config, self.plan.kept)
        if id(old) in self.folds and "use_bias" in config:
            config["use_bias"] = True
        if type(old).from_config.__module__.startswith("keras.") and type(old).__name__ not in _SHARED:
            for name in config:  # a user's own function is handed over as it is: nothing may know it by its name
                if isinstance(function := getattr(old, name, None), types.FunctionType):
                    config[name] = function
        for attribute, entry in (("layer", "layer"), ("forward_layer", "layer"), ("backward_layer", "backward_layer")):
            inner = getattr(old, attribute, None)  # wrappers hold the config of what they wrap
            if isinstance(inner, keras.layers.Layer) and isinstance(config.get(entry), dict):
                config[entry].pop("build_config", None)  # it would build the layer in its old size
                self._edited(inner, config[entry]["config"])
        return config

    def pair(self) -> Iterator[tuple[Any, Any, list[tuple[Any, Any]]]]:
        """Old and new layers and parts of layers, and their variables, matched by the place that they have there."""
        for old, new in self.made.values():
            if not isinstance(old, keras.layers.Layer) or functional(old) is not None:
                continue
            for before, after in zip(parts(old), parts(new), strict=True):
                by_name = {v.name: v for v in own_variables(after)}
                olds, news = own_variables(before), own_variables(after)
                if len(by_name) == len(news) and all(v.name in by_name for v in olds):
                    news = [by_name[v.name] for v in olds]
                yield before, after, list(zip(olds, news, strict=True))

    def fill(self) -> dict[int, Any]:
        """Hands every new variable its value, which it takes when the scope ends; the new one for each old one's id.

        A part that two layers share (a cell) is made once for each of them: all of its copies get the values.
        """
        pairs: dict[int, Any] = {}
        for part, twin, variables in self.pair():
            for variable, new in variables:
                pairs[id(variable)] = new
                self._give(variable, new, self._value(part, variable))
            if id(part) in self.folds and part.bias is None:
                kernel_slot = self.plan.trace.slots[id(part.kernel), len(part.kernel.shape) - 1]
                self._give(part.kernel, twin.bias, self.folds[id(part)][self.plan.kept(kernel_slot.labels)])
        return pairs

    def _value(self, layer: Any, variable: Any) -> Any:
        if variable.dtype == "string":
            return variable.value
        bias = getattr(layer, "bias", None)
        fold = self.folds.get(id(layer)) if bias is variable else None
        axes = [self.plan.trace.slots.get((id(variable), a)) for a in range(len(variable.shape))]
        whole = all(slot is None or self.plan.kept(slot.labels).all() for slot in axes)
        if whole and fold is None:
            return tf.convert_to_tensor(variable.value)
        value = variable.numpy()
        return take(self.plan, variable, value if fold is None else (value + fold).astype(value.dtype))

    @staticmethod
    def _give(old: Any, new: Any, value: Any) -> None:
        if tuple(new.shape) != tuple(value.shape):
            raise ValueError(f"{new.path} came out as {tuple(new.shape)} where {tuple(value.shape)} was to stay")
        if new._value is None:
            new._initializer = lambda shape, dtype: tf.cast(value, dtype)
        else:
            new.assign(value)


def _twin(old: Any) -> Any:
    """The same operation for another graph."""
    new = object.__new__(type(old))  # copy.copy would save and load it
    vars(new).update(vars(old), _inbound_nodes=[], _outbound_nodes=[])
    return new
