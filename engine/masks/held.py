"""One mask on one live variable: a constraint that Keras multiplies in after every optimizer update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf


class Held:
    """Holds the masked entries of a variable at exactly zero.

    It sits on `variable.constraint`, which Keras reads inside the compiled step and never saves: what a layer saves is
    its `kernel_constraint` argument. So the model stays an ordinary Keras model.

    Attributes:
        mask: 1 where a weight stays and 0 where it is gone; the variable's shape and dtype.
        previous: the constraint that was there before, still applied, to the kept weights only.
    """

    def __init__(self, mask: keras.Variable, previous: Callable[[Any], Any] | None = None) -> None:
        self.mask, self.previous = mask, previous

    def __call__(self, w: Any) -> Any:
        """The weights with zeros where the mask is 0."""
        kept = times(w, self.mask)
        if self.previous is None:
            return kept
        # A norm (MaxNorm, UnitNorm) is to be that of the kept weights, hence the mask before; NonNeg and the like may
        # give anything for a zero, hence the mask after.
        return times(self.previous(kept), self.mask)


def times(value: Any, mask: Any) -> Any:
    """`value * mask`, +0.0 where the mask is 0 even if the value is infinite or NaN; rows of an IndexedSlices alike."""
    if isinstance(value, tf.IndexedSlices):
        rows = tf.gather(keras.ops.convert_to_tensor(mask), value.indices)
        return tf.IndexedSlices(times(value.values, rows), value.indices, value.dense_shape)
    # Measured on CPU: faster than a plain product and than `tf.where`; unlike a product it leaves no -0.0 and no NaN.
    tensor = keras.ops.convert_to_tensor(value)
    return tf.math.multiply_no_nan(tensor, keras.ops.cast(keras.ops.convert_to_tensor(mask), tensor.dtype))


def held_on(variable: Any) -> Iterator[Held]:
    """The masks that a variable carries, the latest first."""
    link = getattr(variable, "constraint", None)
    while isinstance(link, Held):
        yield link
        link = link.previous


def unlink(variable: keras.Variable, held: Held) -> None:
    """Takes one mask off a variable and leaves every other constraint in place, whatever came on later."""
    if variable.constraint is held:
        variable.constraint = held.previous
        return
    for link in held_on(variable):
        if link.previous is held:
            link.previous = held.previous
            return
