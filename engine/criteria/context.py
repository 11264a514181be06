"""What a criterion may ask about a model. `engine.scoring` answers; a test can answer with plain arrays.

A criterion is a frozen dataclass of parameters with one pure method:

- `score(context)` gives `{kernel key: array like the kernel}`, for weights, blocks and n:m; or
- `units(context)` gives `{kernel key: array (units,)}`, for units. A criterion may have both.

Higher means: keep. Asking changes nothing in the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    import keras

    from engine.layout import Kernel

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]


class Context(Protocol):
    """A model under (perhaps no) masks, and data. Everything is asked lazily and computed in inference mode."""

    @property
    def model(self) -> keras.Model:
        """The Keras model itself; read it, never write it."""

    @property
    def kernels(self) -> Mapping[str, Kernel]:
        """The prunable kernels by variable key, in the model's order, each with its layer and layout."""

    @property
    def seed(self) -> int:
        """For criteria that draw."""

    @property
    def skipped(self) -> dict[str, str]:
        """Why a kernel got no score, by key; a criterion adds to it with `skip`."""

    def skip(self, key: str, why: str) -> None:
        """Notes that this kernel gets no score (it is then left whole), and why."""

    def dense(self) -> Arrays:
        """The kernels as they are in the model, before this context's masks."""

    def weights(self) -> Arrays:
        """The kernels under this context's masks: what is gone is 0."""

    def gradient(self) -> Arrays:
        """Gradient of the mean loss over all samples with respect to each kernel, at `weights()`."""

    def gradients(self, *, batch_size: int | None = None) -> Iterator[Arrays]:
        """The same for one batch after another (each the mean over its own samples).

        Args:
            batch_size: samples a batch; None keeps the data's own batches (arrays are one batch).
        """

    def curvature(self, *, temperature: float) -> Arrays:
        """`H g` of the mean loss on `logits / temperature`, with respect to the kernels (float64)."""

    def flow(self) -> Arrays:
        """`dR/d|w|` of the all-absolute network on an all-ones input, `R` = sum of the logits (float64)."""

    def input_norms(self) -> Arrays:
        """The L2 norm over samples and positions of what each kernel's input channels receive.

        Broadcastable to the kernel. Kernels whose input cannot be seen are skipped.
        """

    def outputs(self, layers: Sequence[str]) -> Iterator[Arrays]:
        """What these layers (by layer key) give on the data, a batch at a time, with their own activation applied."""


@runtime_checkable
class Criterion(Protocol):
    """Scores weights."""

    def score(self, context: Context) -> Arrays:
        """One score a weight by kernel key; higher means keep."""


@runtime_checkable
class UnitCriterion(Protocol):
    """Scores units."""

    def units(self, context: Context) -> Arrays:
        """One score a unit, `(units,)`, by kernel key; higher means keep."""
