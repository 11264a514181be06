"""The context of a criterion, answered from a Keras model and data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np

from engine.criteria.context import Arrays
from engine.criteria.unit_context import NormValues
from engine.errors import DataError, ModelError
from engine.layout import Array, Kernel, unknown_weights
from engine.scoring import around
from engine.scoring.losses import Loss, loss_for
from engine.scoring.probe import Probe, Seen, Stats
from engine.scoring.samples import Batch, Samples, samples

CALIBRATION = 1024  # samples of the BatchNorm calibration pass, at most


@dataclass(frozen=True)
class ModelContext:
    """Implements `engine.criteria.context.Context`.

    Attributes:
        probe: the model and what was traced on it.
        data: the samples to score on, or None.
        loss: a name, a function or a Keras loss; None is told from the model and the labels.
        seed: for criteria that draw.
        masks: True = kept; what is missing is whole.
        skipped: why a kernel got no score.
    """

    probe: Probe
    data: Samples | None = None
    loss: Any = None
    seed: int = 0
    masks: Mapping[str, Array] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def model(self) -> keras.Model:
        """The model itself."""
        return self.probe.model

    @property
    def kernels(self) -> Mapping[str, Kernel]:
        """The prunable kernels by variable key."""
        return self.probe.kernels

    def under(self, masks: Mapping[str, Array] | None) -> ModelContext:
        """The same context with these masks on the model's weights."""
        return replace(self, masks=dict(masks or {}))

    def skip(self, key: str, why: str) -> None:
        """Notes that this kernel gets no score, and why."""
        self.skipped[key] = why

    def dense(self) -> Arrays:
        """The kernels as they are in the model."""
        return {key: _numbers(k.variable) for key, k in self.kernels.items()}

    def weights(self) -> Arrays:
        """The kernels under the masks."""
        return {key: w * self.masks[key] if key in self.masks else w for key, w in self.dense().items()}

    def gradient(self) -> Arrays:
        """Gradient of the mean loss over all samples."""
        return self._named(self._mean(self._batches(), self._gradient))

    def gradients(self, *, batch_size: int | None = None) -> Iterator[Arrays]:
        """Gradient of the mean loss of one batch after another."""
        self._batches()
        assert self.data is not None
        for batch in self.data.rebatched(batch_size):
            yield self._named(self._mean([batch], self._gradient))

    def curvature(self, *, temperature: float) -> Arrays:
        """`H g` of the mean loss on `logits / temperature`."""
        values, loss, batches, probe = self._values, self._loss, self._batches(), self.probe

        def product() -> list[Array]:
            def first(b: Batch) -> list[Array]:
                return probe.gradient(values, self._stats, b, loss, heat=temperature, dtype=probe.exact)

            g = self._mean(batches, first)
            return self._mean(batches, lambda b: probe.curvature(values, self._stats, b, loss, g, heat=temperature))

        return self._named(probe.exactly(product))

    def flow(self) -> Arrays:
        """`dR/d|w|` of the all-absolute network on ones."""
        ones = _ones(self.model, self.data)
        found = self.probe.exactly(lambda: self.probe.flow(self._values, ones))
        if not all(np.isfinite(f).all() for f in found):
            raise ModelError("the synaptic flow of this model is not finite", todo="Its weights or layers overflow")
        return self._named(found)

    def input_norms(self) -> Arrays:
        """L2 norms of the input channels, over samples and positions."""
        sums: Arrays = {}
        for batch in self._chunks():
            for key, value in self.probe.squares(self._values, self._stats, batch.x).items():
                sums[key] = sums[key] + value if key in sums else value
        for key in self.kernels:
            if key not in sums:
                self.skip(key, "what this kernel receives is made inside its layer and cannot be seen")
        return {key: np.sqrt(s) for key, s in sums.items()}

    def outputs(self, layers: Sequence[str]) -> Iterator[Arrays]:
        """What these layers give, a batch at a time; the calls of a shared layer one after another."""
        for rows in self.seen(layers):
            yield {key: np.concatenate([s.made for s in calls]) for key, calls in rows.items() if calls}

    def seen(self, layers: Sequence[str]) -> Iterator[dict[str, list[Seen]]]:
        """What each call of these layers receives and gives, a batch at a time."""
        for batch in self._chunks():
            yield self.probe.seen(self._values, self._stats, batch.x, tuple(layers))

    # ---- of units (engine.criteria.unit_context) --------------------------------------------------------------------

    def scales(self) -> Arrays:
        """|gamma| of every BatchNorm, by the variable's key."""
        return around.scales(self)

    def norms(self) -> Mapping[str, NormValues]:
        """By kernel key, the BatchNorm that directly follows."""
        return around.norms(self)

    def activations(self, *, needed: bool = False) -> Iterator[Arrays]:
        """What units end in, by kernel key, a batch at a time."""
        return around.activations(self, needed=needed)

    def leaders(self) -> list[str]:
        """Kernel keys that make every group of coupled units."""
        return around.leaders(self)

    def pivots(self) -> Arrays:
        """Relative pivots of what the units' readers read, by layer key."""
        return around.pivots(self)

    # ---- what all of them need -------------------------------------------------------------------------------------

    @cached_property
    def _values(self) -> list[Array]:
        return list(self.weights().values())

    @cached_property
    def _stats(self) -> Stats:
        if not self.probe.fresh_norms:
            return Stats()
        batch = self._samples().whole().cut(0, CALIBRATION)
        return self.probe.statistics(self._values, batch.x)

    @cached_property
    def _loss(self) -> Loss:
        return loss_for(self.model, self.loss, self._batches())

    def _samples(self) -> Samples:
        if self.data is None:
            raise DataError("this criterion needs data", todo="Give data=(x, y), or a dataset of such pairs")
        return self.data

    def _batches(self) -> Sequence[Batch]:
        found = self._samples().batches
        if any(b.y is None for b in found):
            raise DataError("this criterion needs labels", todo="Give data as (x, y), or a dataset of such pairs")
        return found

    def _chunks(self) -> Iterator[Batch]:
        for batch in self._samples().batches:
            yield from batch.chunks()

    def _gradient(self, batch: Batch) -> list[Array]:
        return self.probe.gradient(self._values, self._stats, batch, self._loss)

    @staticmethod
    def _mean(batches: Sequence[Batch], ask: Callable[[Batch], list[Array]]) -> list[Array]:
        """The mean over samples of what is a mean over each chunk, added up in float64."""
        totals: list[Array] = []
        count = 0
        for batch in batches:
            for chunk in batch.chunks():
                found = [np.asarray(f, dtype=np.float64) * chunk.size for f in ask(chunk)]
                totals = [t + f for t, f in zip(totals, found, strict=True)] if totals else found
                count += chunk.size
        return [t / count for t in totals]

    def _named(self, values: Sequence[Array]) -> Arrays:
        return dict(zip(self.kernels, values, strict=True))


def context(
    model: keras.Model,
    data: Any = None,
    *,
    loss: Any = None,
    seed: int = 0,
    masks: Mapping[str, Array] | None = None,
    probe: Probe | None = None,
) -> ModelContext:
    """What a criterion may ask of this model; an unbuilt model is built from the data's shapes.

    Args:
        model: a Keras model.
        data: what to score on.
        loss: as in `engine.score`.
        seed: for criteria that draw.
        masks: True = kept.
        probe: that of an earlier context of the same model (its layers unchanged, its weights may have moved): what was
            traced then is used again, which matters where a run scores often.

    Raises:
        ModelError: the model is not built and there is no data to build it from.
        DataError: the data cannot be read.
    """
    found = samples(data)
    if not model.built or (found is not None and not model.weights):
        if found is None:
            raise ModelError("the model is not built yet: its weights do not exist", todo="Give data, or build it")
        model(found.batches[0].cut(0, 1).x, training=False)
    return ModelContext(probe or Probe(model), found, loss, seed, dict(masks or {}), unknown_weights(model))


def _numbers(variable: keras.Variable) -> Array:
    array = variable.numpy()
    return array if array.dtype in (np.float32, np.float64) else np.asarray(array, dtype=np.float32)


def _ones(model: keras.Model, data: Samples | None) -> Any:
    """One all-ones sample; open sizes (a sequence's length) are those of the data, else 32."""
    if data is not None:
        return keras.tree.map_structure(np.ones_like, data.batches[0].cut(0, 1).x)
    inputs = getattr(model, "_inputs_struct", None)
    if inputs is None and isinstance(model, keras.Sequential):
        inputs = model.inputs[0]
    if inputs is not None:
        return keras.tree.map_structure(lambda t: _one(t.shape, t.dtype), inputs)
    shape = getattr(model, "_build_shapes_dict", None) or {}
    first = next(iter(shape.values()), None)
    if not isinstance(first, tuple | list):
        raise ModelError("the shape of this model's input is not known", todo="Give data: only its shape is used")
    return _one(tuple(first), "float32")


def _one(shape: Sequence[int | None], dtype: Any) -> Array:
    return np.ones([1, *(32 if n is None else n for n in shape[1:])], dtype=str(dtype))
