"""Fine-tuning: its parameters, its learning rate over time, and the loss that learns from the dense model as well."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from engine.registry import register


@register("repair", "fine_tune")
@dataclass(frozen=True)
class FineTune:
    """How what is left is trained on.

    Attributes:
        epochs: epochs of training.
        learning_rate: its own, or None for the one of the dense training.
        schedule: how it goes over these epochs.
        patience: epochs without a better validation metric before it stops, or None.
        distillation: alpha, the weight of the dense model's soft targets; 0 is labels alone.
        temperature: T of the soft targets.
    """

    epochs: int = 3
    learning_rate: float | None = None
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    patience: int | None = None
    distillation: float = 0.0
    temperature: float = 1.0

    def rate(self, first: float) -> Callable[[float], float]:
        """The learning rate at each share of the fine-tuning, 0 at its begin and 1 at its end.

        Args:
            first: the dense training's learning rate, taken where this repair has none of its own.
        """
        top = first if self.learning_rate is None else self.learning_rate
        if self.schedule == "cosine":
            return lambda share: top * 0.5 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))
        if self.schedule == "linear":
            return lambda share: top * (1 - min(max(share, 0.0), 1.0))
        return lambda share: top


def soft_cross_entropy(teacher_logits: Any, student_logits: Any, *, temperature: float = 1.0) -> Any:
    """Cross-entropy of the softened answers, a sample: `-sum softmax(t / T) * log_softmax(s / T)`.

    Args:
        teacher_logits: `(n, classes)` of the dense model, before any softmax.
        student_logits: `(n, classes)` of the pruned model.
        temperature: T. The loss is not multiplied by T^2 (methods.md §8b: `CE + alpha * CE(soft targets)`).

    Returns:
        A tensor `(n,)`, differentiable in the student.
    """
    from keras import ops

    soft = ops.softmax(teacher_logits / temperature, axis=-1)
    return -ops.sum(soft * ops.log_softmax(student_logits / temperature, axis=-1), axis=-1)
