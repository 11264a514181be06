"""`engine.measure`: all that methods.md asks of a report, of a model and of the dense control beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine.errors import ModelError, PruneError
from engine.measurement.answers import Answers, answer, batches
from engine.measurement.comparison import compare
from engine.measurement.counting import count
from engine.measurement.flops import count_flops, layer_costs
from engine.measurement.memory import activation_bytes, device_peak, process_peak
from engine.measurement.timing import interleaved, summary
from engine.measurement.values import Direction, Latency, Measurement, Memory

if TYPE_CHECKING:
    import keras


def measure(
    model: keras.Model,
    data: Any = None,
    *,
    reference: keras.Model | None = None,
    batch_sizes: Sequence[int] = (1, 32, 256),
    loss: Any = None,
    metric: Any = None,
    direction: Direction | None = None,
    repeats: int = 30,
    seconds: float = 1.0,
    jit_compile: bool = False,
) -> Measurement:
    """Measures a model: what it is made of, how well it answers, what it computes, how fast and in how much memory.

    Latency is that of a compiled function (not of `predict`, whose own cost hides the model's), and the reference is
    timed in turns with the model. What cannot be measured is left out, and `skipped` says why.

    Args:
        model: a built model.
        data: `(x, y)` arrays or a `tf.data.Dataset`, for metrics and for the inputs of the latency.
        reference: the dense control.
        batch_sizes: rows in a timed call; empty times nothing.
        loss: a Keras loss or its name; None takes the model's own, else the one that fits.
        metric: a Keras metric or its name; None takes accuracy for classes, mean squared error for numbers.
        direction: whether a higher (`max`) or lower (`min`) metric is better; None derives it from the name.
        repeats: timed samples of each model and batch size.
        seconds: budget of each model and batch size: fewer samples (at least 5) when they would take longer.
        jit_compile: let XLA compile the timed function.

    Raises:
        ModelError: when the model has no weights because it was never built.
        DataError: data and model do not go together.
        UnknownName: Keras knows no such loss or metric.
        PruneError: a batch size below 1.
    """
    pair = [model] if reference is None else [model, reference]
    for each in pair:
        if not getattr(each, "built", True):
            raise ModelError(
                f"the model {each.name!r} is not built, so it has no weights yet", todo="Call it on one batch first"
            )
    for size in batch_sizes:
        if size < 1:
            raise PruneError(f"a batch of {size} rows cannot be timed", todo="Give batch sizes from 1 on")
    skipped: list[str] = []
    found = [_measure_alone(each, data, loss, metric, direction) for each in pair]
    with process_peak() as process, device_peak() as device:
        rows = _latencies(pair, data, batch_sizes, repeats, seconds, jit_compile, skipped)
    extra = {
        "threads": threads(),
        "device": device_name(),
        "runtime": _runtime(jit_compile=jit_compile),
    }
    made = []
    for each, (measured, _), latency in zip(pair, found, rows, strict=True):
        batch = max(batch_sizes, default=1)
        memory = Memory(
            weights=measured.counts.bytes_raw,
            activations=activation_bytes(each, batch),
            batch_size=batch,
            process_peak=process["bytes"],
            device_peak=device["bytes"],
        )
        made.append(
            msgspec.structs.replace(
                measured, latency=latency, memory=memory, skipped=(*measured.skipped, *skipped), **extra
            )
        )
    if reference is None:
        return made[0]
    return msgspec.structs.replace(
        made[0],
        reference=made[1],
        comparison=_comparison(found[1][1], found[0][1]),
        theoretical_speedup=_ratio(made[1].flops, made[0].effective_flops),
    )


def timed_call(model: keras.Model, inputs: Any, *, jit_compile: bool = False) -> Callable[[], object]:
    """A call of the model's compiled inference function on these inputs, which returns when the answer is there."""
    import tensorflow as tf

    tensors = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    forward: Any = tf.function(jit_compile=jit_compile or None)(lambda given: model(given, training=False))
    compiled = forward.get_concrete_function(tensors)
    flat = tf.nest.flatten(tensors)

    def call() -> object:
        return [t.numpy() for t in tf.nest.flatten(compiled(*flat))]

    return call


def example_inputs(model: keras.Model, data: Any, rows: int) -> Any:
    """Inputs of that many rows: from the data (repeated as needed), else drawn to the shapes that the model declares.

    Raises:
        ModelError: without data when the model declares no fixed shapes.
    """
    if data is not None:
        x, _ = next(batches(data, rows))
        return _each(lambda a: np.resize(a, (rows, *np.shape(a)[1:])), x)
    specs = getattr(model, "inputs", None)
    if not specs or any(n is None for spec in specs for n in spec.shape[1:]):
        raise ModelError("its inputs have no fixed shape", todo="Pass data, so that there are real inputs")
    drawn = [_drawn((rows, *spec.shape[1:]), str(spec.dtype)) for spec in specs]
    structure = getattr(model, "_inputs_struct", None)
    if isinstance(structure, dict):
        return dict(zip(sorted(structure), drawn, strict=True))  # Keras sorts the keys of a dict
    return drawn[0] if len(drawn) == 1 else drawn


def _drawn(shape: tuple[int, ...], dtype: str) -> Any:
    if dtype == "string":
        return np.full(shape, "", object)
    if "float" not in dtype:
        return np.zeros(shape, dtype)
    import ml_dtypes

    return np.random.default_rng(0).standard_normal(shape).astype(getattr(ml_dtypes, dtype, dtype))


def threads() -> int:
    """Threads that TensorFlow may use within an op."""
    import tensorflow as tf

    asked = int(tf.config.threading.get_intra_op_parallelism_threads())
    return asked or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def device_name() -> str:
    """The accelerator that TensorFlow sees, else the processor's name."""
    import platform

    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    if devices:
        return str(tf.config.experimental.get_device_details(devices[0]).get("device_name", "GPU"))
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # no such file: the platform's own word has to do
    return platform.processor() or platform.machine()


def _measure_alone(
    model: keras.Model, data: Any, loss: Any, metric: Any, direction: Direction | None
) -> tuple[Measurement, Answers | None]:
    answers = None if data is None else answer(model, data, loss=loss, metric=metric, direction=direction)
    try:
        flops, effective = count_flops(model)
        skipped = [f"FLOPs: {key} has no rule, or a size that is not fixed" for key in _uncounted(model)]
    except ModelError as error:
        flops, effective, skipped = None, None, [f"FLOPs: {error.what}"]
    measured = Measurement(
        counts=count(model),
        flops=flops,
        effective_flops=effective,
        theoretical_speedup=_ratio(flops, effective),
        skipped=tuple(skipped),
    )
    if answers is not None:
        measured = msgspec.structs.replace(
            measured,
            metric=answers.metric,
            top5=answers.top5,
            loss=answers.loss,
            samples=answers.samples,
            skipped=(*measured.skipped, *answers.skipped),
        )
    return measured, answers


def _uncounted(model: keras.Model) -> list[str]:
    return [key for key, cost in layer_costs(model).items() if not cost.exact]


def _latencies(
    models: list[keras.Model],
    data: Any,
    batch_sizes: Sequence[int],
    repeats: int,
    seconds: float,
    jit_compile: bool,  # noqa: FBT001
    skipped: list[str],
) -> list[tuple[Latency, ...]]:
    rows: list[list[Latency]] = [[] for _ in models]
    for size in batch_sizes:
        try:
            calls = {
                str(i): timed_call(each, example_inputs(each, data, size), jit_compile=jit_compile)
                for i, each in enumerate(models)
            }
            samples = interleaved(calls, repeats=repeats, seconds=seconds)
        except Exception as error:  # whatever a model raises, the rest of the measurement stands
            skipped.append(
                f"latency at batch {size}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
            )
            continue
        control = samples["1"] if len(models) > 1 else None
        for i, row in enumerate(rows):
            row.append(summary(size, samples[str(i)], control if i == 0 else None))
    return [tuple(row) for row in rows]


def _comparison(before: Answers | None, after: Answers | None) -> Any:
    if before is None or after is None or before.predicted is None or after.predicted is None:
        return None
    if before.predicted.shape != after.predicted.shape:
        return None
    return compare(before.predicted, after.predicted, after.labels)


def _runtime(*, jit_compile: bool) -> str:
    import tensorflow as tf

    return f"TensorFlow {tf.__version__}{', XLA' if jit_compile else ''}"


def _ratio(above: int | None, below: int | None) -> float | None:
    return above / below if above is not None and below else None


def _each(function: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: function(v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(function(v) for v in tree)
    return function(tree)
