"""BatchNorm scale (network slimming): channels whose gamma a penalty has driven to zero are not needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.criteria.context import Arrays
from engine.criteria.unit_context import UnitContext
from engine.errors import ModelError
from engine.registry import register

if TYPE_CHECKING:
    import keras


@register("criterion", "bn_scale")
@dataclass(frozen=True)
class BnScale:
    """`S(unit) = |gamma_j|` (Liu et al. 2017), over every BatchNorm of the unit's group.

    Attributes:
        penalty: lambda of the L1 term that training adds (`training_term`).
    """

    penalty: float = 1e-4

    def units(self, context: UnitContext) -> Arrays:
        """|gamma|, `(units,)`, by the gamma's own key."""
        found = context.scales()
        if not found:
            raise ModelError(
                "criterion bn_scale needs a BatchNorm with a scale, and this model has none",
                todo="Use l1_norm or l2_norm, or a model with BatchNorm",
            )
        return found

    def training_term(self, model: keras.Model) -> Any:
        """`lambda * sum |gamma|` over every BatchNorm: a scalar tensor to add to the training loss."""
        return scale_penalty(model, self.penalty)


def scale_penalty(model: keras.Model, penalty: float) -> Any:
    """`penalty * sum |gamma|` over the BatchNorm layers of a model (Liu et al. 2017, eq. 1), differentiable.

    Args:
        model: a built model of any kind.
        penalty: lambda.

    Returns:
        A float32 scalar; 0 for a model without BatchNorm.
    """
    from keras import ops

    return penalty * sum((ops.sum(ops.abs(ops.cast(g, "float32"))) for g in gammas(model)), ops.zeros(()))


def gammas(model: keras.Model) -> list[keras.Variable]:
    """The trainable scales of all BatchNorm layers, nested ones too, each once."""
    import keras

    layers = model._flatten_layers(include_self=False, recursive=True)
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    return list({id(n.gamma): n.gamma for n in norms if n.gamma is not None and n.trainable}.values())
