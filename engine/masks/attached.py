"""Masks on a live model: attach, read, change while it trains, detach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from engine.errors import ModelError, UnknownName
from engine.keys import layer_keys, variable_keys
from engine.layout import kernels, parts
from engine.masks import hooks
from engine.masks.held import Held, times, unlink

Array = np.ndarray[Any, Any]


def attach(model: keras.Model, masks: Mapping[str, Any]) -> Masks:
    """Puts masks on a built model: the masked weights are exactly zero from now on, through any training.

    Works with any optimizer, `LossScaleOptimizer`, gradient accumulation, `use_ema`, XLA and `tf.distribute`,
    before or in the middle of a `fit`. The model stays an ordinary Keras model: `model.save` writes nothing of this.

    Args:
        model: a built model. A `tf.function` of your own that was traced before must be traced again.
        masks: by variable key (`variable.path` in flat models), an array of the variable's shape: True or 1 keeps.

    Returns:
        The handle that reads, changes and detaches them.

    Raises:
        UnknownName: a key that the model does not hold.
        ModelError: a model without variables, a mask of another shape, a variable that no optimizer updates.
    """
    found = variable_keys(model)
    if not found:
        raise ModelError(
            "the model has no variables yet", todo="Build it first: call it on a batch, or model.build(input_shape)"
        )
    states = {id(v) for layer in layer_keys(model).values() for p in parts(layer) for v in p._non_trainable_variables}
    arrays: dict[str, Array] = {}
    for key, mask in masks.items():
        if key not in found:
            raise UnknownName("variable", key, found)
        if id(found[key]) in states or "float" not in keras.backend.standardize_dtype(found[key].dtype):
            raise ModelError(
                "this variable is not trained, so a mask cannot hold it",
                where=key,
                todo="Mask kernels, biases, gamma and beta",
            )
        arrays[key] = _array(key, mask, found[key])
    return Masks(model, {k: found[k] for k in arrays}, arrays)


class Masks:
    """The masks that a model carries, by variable key. Made by `attach`.

    Attributes:
        model: the model that carries them.
        variables: the masked variables by key.
        skipped: what `engine.prune` could not prune, by key, and why.
    """

    def __init__(
        self, model: keras.Model, variables: Mapping[str, keras.Variable], arrays: Mapping[str, Array]
    ) -> None:
        self.model, self.variables = model, dict(variables)
        self.skipped: dict[str, str] = {}
        self._held: dict[str, Held] = {}
        self._optimizers: list[Any] = []
        of_model = kernels(model)
        self._counted = [k for k in self.variables if k in of_model] or list(self.variables)
        with model.distribute_strategy.scope():
            for key, variable in self.variables.items():
                mask = keras.Variable(arrays[key], dtype=variable.dtype, trainable=False, name="mask")
                self._held[key] = variable.constraint = Held(mask, variable.constraint)
        hooks.watch_model(model, self)
        hooks.retrace(model)
        self._zero(self.variables)

    @property
    def attached(self) -> bool:
        """False after `detach`."""
        return bool(self._held)

    def arrays(self) -> dict[str, Array]:
        """The masks as they are now: key -> bool array of the variable's shape, True = kept."""
        return {k: h.mask.numpy() != 0 for k, h in self._held.items()}

    def update(self, masks: Mapping[str, Any], *, reset: Mapping[str, Any] | None = None) -> None:
        """Changes some of the masks in place: nothing is traced again, and what is masked is zero at once.

        Momentum and averages of masked weights are zeroed too, so a weight that comes back starts with clean ones.

        Args:
            masks: new masks for keys that are attached; the others stay.
            reset: key -> bool array: weights that start anew at 0 with clean optimizer slots although the mask keeps
                them (drop-grow schedules: dropped and grown again in the same step).

        Raises:
            UnknownName: a key that is not attached.
        """
        checked = {k: self._checked(k, m) for k, m in masks.items()}
        anew = {k: ~self._checked(k, m).astype(bool) for k, m in (reset or {}).items()}
        for key, mask in checked.items():
            self._held[key].mask.assign(mask)
        self._zero(checked)
        for key, keep in anew.items():
            self._clear(key, keras.ops.convert_to_tensor(keep.astype(np.float32)))

    def sparsity(self, key: str | None = None) -> float:
        """The share of masked weights, in [0, 1]: of one variable, or of all masked kernels together.

        Biases and normalisation parameters do not count, unless nothing else is masked.
        """
        if key is not None:
            return 1.0 - float(np.mean(self._link(key).mask.numpy(), dtype=np.float64))
        masks = [self._held[k].mask.numpy() for k in self._counted if k in self._held]
        total = sum(m.size for m in masks)
        return 1.0 - sum(int(np.count_nonzero(m)) for m in masks) / total if total else 0.0

    def sparsities(self) -> dict[str, float]:
        """The share of masked weights of each variable."""
        return {k: self.sparsity(k) for k in self._held}

    def gradients(self, grads: Sequence[Any], variables: Sequence[Any]) -> list[Any]:
        """Gradients with zeros where `variables` are masked, for an optimizer that is not the model's nor watched."""
        return hooks.masked_gradients(grads, variables)

    def watch(self, optimizer: Any) -> None:
        """Masks the gradients and averages of an optimizer that the model was not compiled with (a loop of yours)."""
        if not any(o is optimizer for o in self._optimizers):
            self._optimizers.append(optimizer)
        hooks.watch_optimizer(optimizer, self)
        self._zero(self._held)

    def apply(self) -> None:
        """Zeroes what is masked once more, after something other than an optimizer has written to the weights."""
        self._zero(self._held)

    def detach(self) -> None:
        """Takes the masks off and puts the earlier constraints back. The zeros stay until something moves them."""
        if not self._held:
            return
        for key, held in self._held.items():
            unlink(self.variables[key], held)
        for optimizer in self._watched():
            hooks.release(hooks.innermost(optimizer), "apply", self)
        hooks.release(self.model, "make_train_function", self)
        self._held = {}
        hooks.retrace(self.model)

    def _watched(self) -> list[Any]:
        own = getattr(self.model, "optimizer", None)
        return [*self._optimizers, *([own] if own is not None else [])]

    def _zero(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._clear(key, keras.ops.convert_to_tensor(self._held[key].mask))

    def _clear(self, key: str, keep: Any) -> None:
        # Where `keep` is 0 the weight becomes 0 and what optimizers remember of it what it was at first.
        variable = self.variables[key]
        variable.assign(times(variable, keep))
        for optimizer in self._watched():
            for slot, first in hooks.slots(optimizer, variable):
                kept = times(slot, keep)
                slot.assign(kept + keras.ops.cast(1 - keep, kept.dtype) * first if first else kept)

    def _link(self, key: str) -> Held:
        if key not in self._held:
            raise UnknownName("masked variable", key, self._held)
        return self._held[key]

    def _checked(self, key: str, mask: Any) -> Array:
        self._link(key)
        return _array(key, mask, self.variables[key])


def _array(key: str, mask: Any, variable: keras.Variable) -> Array:
    array = np.asarray(mask)
    if array.shape != tuple(variable.shape):
        raise ModelError(f"a mask of shape {array.shape} for a variable of shape {tuple(variable.shape)}", where=key)
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise ModelError(
            "a mask holds only 0 and 1", where=key, todo="Compare scores with a threshold first: scores > t"
        )
    return array.astype(np.float32)
