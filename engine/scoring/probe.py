"""The compiled questions that can be put to a model: gradients, curvature, flow, activations, BatchNorm statistics.

Each is one `tf.function` over (weights, data), traced once and then called as often as needed with other weights:
SynFlow's 100 iterations are one trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from engine.heads import logits_of
from engine.keys import layer_keys
from engine.layout import Array, Kernel, kernels
from engine.scoring.calling import call, floating, weights_of, whole_moments
from engine.scoring.losses import Loss, total
from engine.scoring.samples import Batch
from engine.scoring.watching import Watch

_T = TypeVar("_T")


@dataclass(frozen=True)
class Stats:
    """BatchNorm statistics that take the place of initial ones.

    Attributes:
        norms: the layers.
        tensors: `(mean, variance, mean, variance, ...)` in their order.
    """

    norms: tuple[keras.Layer, ...] = ()
    tensors: tuple[Any, ...] = ()

    def placed(self, tensors: Sequence[Any], dtype: str) -> dict[int, Any]:
        """Tensors by `id` of the variable they stand for."""
        variables = [v for b in self.norms for v in (b.moving_mean, b.moving_variance)]
        return {id(v): tf.cast(t, dtype) for v, t in zip(variables, tensors, strict=True)}


@dataclass
class Probe:
    """A model and the functions traced on it so far.

    Attributes:
        model: a built model; it is only read.
        kernels: its prunable kernels.
        exact: the dtype of what needs float64; float32 once a layer was met that cannot compute in it.
    """

    model: keras.Model
    kernels: Mapping[str, Kernel] = field(init=False)
    exact: str = field(init=False, default="float64")
    _traced: dict[Any, Callable[..., Any]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.kernels = kernels(self.model)

    @property
    def fresh_norms(self) -> list[keras.Layer]:
        """The BatchNorm layers whose statistics are still the initial 0 and 1."""
        found = [
            layer
            for layer in self.model._flatten_layers(include_self=True, recursive=True)
            if isinstance(layer, keras.layers.BatchNormalization) and layer.built
        ]
        return [b for b in found if not np.any(b.moving_mean.numpy()) and np.all(b.moving_variance.numpy() == 1)]

    def gradient(
        self,
        values: Sequence[Array],
        stats: Stats,
        batch: Batch,
        loss: Loss,
        *,
        heat: float = 1.0,
        dtype: str = "float32",
    ) -> list[Array]:
        """Gradients of the mean loss on `logits / heat` with respect to the kernels."""

        def build() -> Callable[..., Any]:
            @tf.function(reduce_retracing=True, autograph=False)
            def run(values: list[Any], tensors: Any, x: Any, y: Any) -> Any:
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(values)
                    value = total(loss, self._logits(values, stats, tensors, x, dtype), y, temperature=heat)
                return _dense(tape.gradient(value, values, unconnected_gradients="zero"))

            return run

        traced = self._function(("gradient", dtype, heat, loss, *map(id, stats.norms)), build)
        return _arrays(traced(_tensors(values, dtype), stats.tensors, batch.x, batch.y))

    def curvature(
        self, values: Sequence[Array], stats: Stats, batch: Batch, loss: Loss, g: Sequence[Array], *, heat: float
    ) -> list[Array]:
        """`H g` of the same loss, by differentiating `stop_gradient(g) . gradient`; in `exact`."""
        dtype = self.exact

        def build() -> Callable[..., Any]:
            @tf.function(reduce_retracing=True, autograph=False)
            def run(values: list[Any], tensors: Any, x: Any, y: Any, g: list[Any]) -> Any:
                with whole_moments(), tf.GradientTape(watch_accessed_variables=False) as outer:
                    outer.watch(values)
                    with tf.GradientTape(watch_accessed_variables=False) as inner:
                        inner.watch(values)
                        value = total(loss, self._logits(values, stats, tensors, x, dtype), y, temperature=heat)
                    slopes = _dense(inner.gradient(value, values, unconnected_gradients="zero"))
                    dot = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(slopes, g, strict=True)])
                return _dense(outer.gradient(dot, values, unconnected_gradients="zero"))

            return run

        traced = self._function(("curvature", dtype, heat, loss, *map(id, stats.norms)), build)
        return _arrays(traced(_tensors(values, dtype), stats.tensors, batch.x, batch.y, _tensors(g, dtype)))

    def flow(self, values: Sequence[Array], x: Any) -> list[Array]:
        """`dR/d|w|` of the network with every parameter and statistic replaced by its absolute value; in `exact`."""
        dtype = self.exact

        def build() -> Callable[..., Any]:
            own = {id(k.variable) for k in self.kernels.values()}

            @tf.function(reduce_retracing=True, autograph=False)
            def run(values: list[Any], x: Any) -> Any:
                others = {
                    id(v): tf.abs(tf.cast(v.value, dtype))
                    for v in weights_of(self.model)
                    if id(v) not in own and floating(v)
                }
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(values)
                    placed = {id(k.variable): v for k, v in zip(self.kernels.values(), values, strict=True)}
                    output = call(self.model, x, values=others | placed, dtype=dtype)
                    flow = tf.add_n([tf.reduce_sum(logits_of(o)[1]) for o in keras.tree.flatten(output)])
                return _dense(tape.gradient(flow, values, unconnected_gradients="zero"))

            return run

        traced = self._function(("flow", dtype), build)
        return _arrays(traced(_tensors([np.abs(v) for v in values], dtype), x))

    def exactly(self, ask: Callable[[], _T]) -> _T:
        """Asks in float64; where a layer cannot (a kernel that TensorFlow lacks, constants of its own), in float32."""
        if self.exact == "float64":
            try:
                return ask()
            except (TypeError, ValueError, tf.errors.OpError):
                self.exact = "float32"
        return ask()

    def seen(self, values: Sequence[Array], stats: Stats, x: Any, layers: tuple[str, ...]) -> dict[str, list[Seen]]:
        """What the calls of these layers received and gave, float32."""

        def build() -> Callable[..., Any]:
            owners = layer_keys(self.model)

            @tf.function(reduce_retracing=True, autograph=False)
            def run(values: list[Any], tensors: Any, x: Any) -> Any:
                watches = {key: Watch() for key in layers}
                hooks = {id(owners[key]): (owners[key], watch) for key, watch in watches.items()}
                call(self.model, x, values=self._placed(values, stats, tensors), dtype="float32", hooks=hooks)
                return {key: list(zip(w.inputs, w.outputs, strict=True)) for key, w in watches.items()}

            return run

        found = self._function(("seen", layers, *map(id, stats.norms)), build)(
            _tensors(values, "float32"), stats.tensors, x
        )
        return {key: [Seen(np.asarray(a), np.asarray(b)) for a, b in rows] for key, rows in found.items()}

    def squares(self, values: Sequence[Array], stats: Stats, x: Any) -> dict[str, Array]:
        """For each kernel whose input is seen, the sums of squares of its input channels, broadcastable to it."""

        def build() -> Callable[..., Any]:
            from engine.scoring.inputs import square_sums, watched_layers

            @tf.function(reduce_retracing=True, autograph=False)
            def run(values: list[Any], tensors: Any, x: Any) -> Any:
                watches = {id(layer): (layer, Watch()) for layer in watched_layers(self.model, self.kernels)}
                call(self.model, x, values=self._placed(values, stats, tensors), dtype="float32", hooks=watches)
                return square_sums(self.model, self.kernels, {key: w for key, (_, w) in watches.items()})

            return run

        found = self._function(("squares", *map(id, stats.norms)), build)(_tensors(values, "float32"), stats.tensors, x)
        return {key: np.asarray(value, dtype=np.float64) for key, value in found.items()}

    def statistics(self, values: Sequence[Array], x: Any) -> Stats:
        """Mean and variance of what each fresh BatchNorm receives, those before it already calibrated; one pass."""
        norms = tuple(self.fresh_norms)
        if not norms:
            return Stats()

        def build() -> Callable[..., Any]:
            @tf.function(reduce_retracing=True, autograph=False)
            def run(values: list[Any], x: Any) -> Any:
                found: dict[int, Any] = {}

                def hook(norm: keras.Layer) -> Any:
                    def calibrated(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                        axes = [a for a in range(len(args[0].shape)) if a != norm.axis % len(args[0].shape)]
                        # Counted from the first value: the mean of a channel that masks have made constant is then
                        # that constant, and the ReLU behind it is at 0, not at a rounding error above.
                        first = args[0][
                            tuple(slice(0, 1) if a in axes else slice(None) for a in range(args[0].shape.rank))
                        ]
                        mean, variance = tf.nn.moments(args[0] - first, axes)
                        mean += tf.reshape(first, tf.shape(mean))
                        norm.moving_mean.assign(mean)  # inside the stateless scope: the variable is not touched
                        norm.moving_variance.assign(variance)
                        found[id(norm)] = (mean, variance)
                        return original(*args, **kwargs)

                    return calibrated

                hooks = {id(b): (b, hook(b)) for b in norms}
                call(self.model, x, values=self._placed(values, Stats(), ()), dtype="float32", hooks=hooks)
                # A norm that this input never reaches keeps what it has.
                initial = [(tf.zeros(b.moving_mean.shape), tf.ones(b.moving_mean.shape)) for b in norms]
                return [t for b, i in zip(norms, initial, strict=True) for t in found.get(id(b), i)]

            return run

        traced = self._function(("statistics", *map(id, norms)), build)
        return Stats(norms, tuple(traced(_tensors(values, "float32"), x)))

    def _logits(self, values: Sequence[Any], stats: Stats, tensors: Any, x: Any, dtype: str) -> list[tuple[str, Any]]:
        output = call(self.model, x, values=self._placed(values, stats, tensors, dtype), dtype=dtype)
        return [logits_of(o) for o in keras.tree.flatten(output)]

    def _placed(self, values: Sequence[Any], stats: Stats, tensors: Any, dtype: str = "float32") -> dict[int, Any]:
        placed = {id(k.variable): v for k, v in zip(self.kernels.values(), values, strict=True)}
        return placed | stats.placed(tensors, dtype)

    def _function(self, name: Any, build: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        if name not in self._traced:
            self._traced[name] = _in_graph(build())
        return self._traced[name]


@dataclass(frozen=True)
class Seen:
    """One call of a layer: what it received and what it gave."""

    given: Array
    made: Array


def _in_graph(traced: Callable[..., Any]) -> Callable[..., Any]:
    """Runs it as a graph even where a user has all functions run eagerly: the final softmax is read off the graph."""

    def run(*args: Any) -> Any:
        eager = tf.config.functions_run_eagerly()
        if not eager:
            return traced(*args)
        tf.config.run_functions_eagerly(run_eagerly=False)
        try:
            return traced(*args)
        finally:
            tf.config.run_functions_eagerly(run_eagerly=eager)

    return run


def _tensors(values: Sequence[Array], dtype: str) -> list[Any]:
    return [tf.convert_to_tensor(v, dtype) if str(np.asarray(v).dtype) == dtype else tf.cast(v, dtype) for v in values]


def _arrays(tensors: Sequence[Any]) -> list[Array]:
    return [np.asarray(t) for t in tensors]


def _dense(gradients: Sequence[Any]) -> list[Any]:
    """Embeddings' gradients come as slices."""
    return [tf.convert_to_tensor(g) for g in gradients]
