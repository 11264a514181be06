"""What a compiled model was trained with, carried to the smaller one: optimizer, its slots, loss and metrics."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras

from engine.surgery.plan import Plan
from engine.surgery.rebuild import take

if TYPE_CHECKING:
    from collections.abc import Mapping


def carry_compiled(plan: Plan, new: keras.Model, pairs: Mapping[int, keras.Variable]) -> tuple[str, ...]:
    """Compiles the new model as the old one was.

    Slots that have their variable's own shape (SGD's momentum, the Adam family, RMSprop, the averages of `use_ema`)
    keep their values; others start anew.

    Returns:
        What could not be carried, in words.
    """
    old = plan.trace.model
    if not getattr(old, "compiled", False):
        return ()
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a lambda is refused below, and shared
            arguments = keras.saving.deserialize_keras_object(old.get_compile_config())
    except (TypeError, ValueError, NotImplementedError):
        # A loss or metric that Keras cannot write down: functions have no state, so the new model can share them.
        arguments = dict(old._compile_config.config)
        arguments["optimizer"] = type(old.optimizer).from_config(old.optimizer.get_config())
        for name in ("metrics", "weighted_metrics"):
            if arguments.get(name):
                arguments[name] = None
                notes.append(f"the {name.replace('_', ' ')} must be given to compile() again")
    if not arguments:
        return ("the model must be compiled again: its compile() is its own",)
    new.compile(**arguments)
    if old.optimizer is not None and old.optimizer.built:
        new.optimizer.build(new.trainable_variables)
        notes += _slots(plan, old.optimizer, new.optimizer, pairs)
    return tuple(notes)


def _slots(plan: Plan, old: Any, new: Any, pairs: Mapping[int, keras.Variable]) -> Iterator[str]:
    inner = getattr(old, "inner_optimizer", None)
    if inner is not None:
        for name in ("step_counter", "dynamic_scale"):
            if hasattr(old, name) and hasattr(new, name):
                getattr(new, name).assign(getattr(old, name))
        yield from _slots(plan, inner, new.inner_optimizer, pairs)
        return
    for name, value in vars(old).items():  # iterations, learning rate, Nadam's product
        twin = vars(new).get(name)
        if isinstance(value, keras.Variable) and isinstance(twin, keras.Variable) and value.shape == twin.shape:
            twin.assign(value)
    before, after = list(old._trainable_variables), list(new._trainable_variables)
    place = {id(v): i for i, v in enumerate(after)}
    for name, slots in vars(old).items():
        others = vars(new).get(name)
        if name == "_trainable_variables" or not isinstance(slots, list) or len(slots) != len(before):
            continue
        if not isinstance(others, list) or not any(isinstance(s, keras.Variable) for s in slots):
            continue
        lost = False
        for variable, slot in zip(before, slots, strict=True):
            twin = pairs.get(id(variable))
            at = place.get(id(twin)) if twin is not None else None
            target = others[at] if at is not None else None
            if not isinstance(slot, keras.Variable) or not isinstance(target, keras.Variable):
                continue
            if tuple(slot.shape) == tuple(variable.shape):
                target.assign(take(plan, variable, slot.numpy()))
            elif tuple(slot.shape) == () == tuple(target.shape):
                target.assign(slot)
            else:
                lost = True
        if lost:
            yield f"{old.name}'s {name.strip('_').replace('_', ' ')} start anew: their shapes are not their variables'"
