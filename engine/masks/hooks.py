"""Where masks meet the training step: gradients before an optimizer update, averages after it, and a fresh trace.

A constraint alone keeps the zeros, but a masked weight's gradient would still move the kept ones wherever an optimizer
looks at a whole tensor or at all of them: clipping by norm, Muon, LAMB, Adafactor. And `use_ema` averages what the
weights are *before* the constraint. So `optimizer.apply` of this one instance is replaced; nothing that is saved knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from engine.masks.held import held_on, times


def innermost(optimizer: Any) -> Any:
    """The optimizer that updates the weights (inside a `LossScaleOptimizer`, the wrapped one)."""
    while getattr(optimizer, "inner_optimizer", None) is not None:
        optimizer = optimizer.inner_optimizer
    return optimizer


def masked_gradients(grads: Sequence[Any], variables: Sequence[Any]) -> list[Any]:
    """Each gradient with zeros where its variable is masked; None stays None."""
    masked = []
    for grad, variable in zip(grads, variables, strict=True):
        if grad is not None:
            for held in held_on(variable):
                grad = times(grad, held.mask)  # noqa: PLW2901
        masked.append(grad)
    return masked


def watch_optimizer(optimizer: Any, user: object) -> None:
    """Makes this optimizer mask gradients and averages, for as long as `user` does not release it."""
    optimizer = innermost(optimizer)
    if optimizer is not None:
        _hook(optimizer, "apply", lambda plain: _apply(optimizer, plain), user)


def watch_model(model: keras.Model, user: object) -> None:
    """Makes the model's present optimizer, and any that a later `compile` brings, mask gradients and averages."""
    watch_optimizer(getattr(model, "optimizer", None), user)

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def make_train_function(*args: Any, **kw: Any) -> Any:
            for each in list(make_train_function.users):  # type: ignore[attr-defined]
                watch_optimizer(model.optimizer, each)
            return plain(*args, **kw)

        return make_train_function

    _hook(model, "make_train_function", make, user)


def watch_gradients(
    optimizer: Any, watcher: Callable[[Sequence[Any], Sequence[Any]], None], *, on: bool = True
) -> None:
    """Shows a watcher the gradients of each step, masked entries included, before weights change; or no longer.

    The optimizer must be watched already, and the train function be made anew afterwards.
    """
    watchers = getattr(vars(innermost(optimizer)).get("apply"), "watchers", [])
    if on and watcher not in watchers:
        watchers.append(watcher)
    elif not on and watcher in watchers:
        watchers.remove(watcher)


def release(owner: Any, name: str, user: object) -> None:
    """Takes a user off a hook; the last one puts the method back."""
    hook = vars(owner).get(name)
    users = getattr(hook, "users", None)
    if users is None or user not in users:
        return
    users.remove(user)
    if not users:
        delattr(owner, name)


def retrace(model: keras.Model) -> None:
    """Makes a new train function, since constraints are read when it is traced; works within a running `fit` too."""
    if getattr(model, "train_function", None) is not None:
        model.make_train_function(force=True)


def slots(optimizer: Any, variable: keras.Variable) -> Iterator[tuple[keras.Variable, float]]:
    """An optimizer's variables of this variable's shape that stand for it (momentum, average), with their first value.

    Factored statistics (Adafactor's rows and columns) belong to no single weight and are left out.
    """
    optimizer = innermost(optimizer)
    if optimizer is None or not optimizer.built:
        return
    known = getattr(optimizer, "_trainable_variables", [])
    try:
        index = next(i for i, v in enumerate(known) if v is variable)
    except StopIteration:
        return
    for name, kept in vars(optimizer).items():
        if name == "_trainable_variables" or not isinstance(kept, list | tuple) or len(kept) != len(known):
            continue
        slot = kept[index]
        if isinstance(slot, keras.Variable) and tuple(slot.shape) == tuple(variable.shape):
            yield slot, float(getattr(optimizer, "initial_accumulator_value", 0.0)) if name == "_accumulators" else 0.0


def averages(optimizer: Any, variable: keras.Variable) -> keras.Variable | None:
    """The moving average that `use_ema` keeps of a variable, if it does."""
    optimizer = innermost(optimizer)
    kept = getattr(optimizer, "_model_variables_moving_average", None)
    if not kept:
        return None
    found = (a for v, a in zip(optimizer._trainable_variables, kept, strict=True) if v is variable)
    return next(found, None)


def _apply(optimizer: Any, plain: Callable[..., Any]) -> Callable[..., Any]:
    def apply(grads: Any, trainable_variables: Any = None) -> Any:
        grads = list(grads)
        variables = optimizer._trainable_variables if trainable_variables is None else list(trainable_variables)
        for watcher in apply.watchers:  # type: ignore[attr-defined]
            watcher(grads, variables)
        result = plain(masked_gradients(grads, variables), None if trainable_variables is None else variables)
        if optimizer.use_ema:
            for variable in variables:
                for held in held_on(variable):
                    average = averages(optimizer, variable)
                    if average is not None:
                        average.assign(times(average, held.mask))
        return result

    apply.watchers = []  # type: ignore[attr-defined]
    return apply


def _hook(owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Any], user: object) -> None:
    hook = vars(owner).get(name)
    if getattr(hook, "users", None) is None:
        hook = wrap(getattr(owner, name))
        hook.users = []
        setattr(owner, name, hook)
    if user not in hook.users:
        hook.users.append(user)
