"""What a measurement says, as plain values: no TensorFlow, no NumPy, ready for YAML and JSON.

A number that could not be measured is None, and every part that was left out is named in `Measurement.skipped` with
its reason. A number that is not finite is one of the words `nan`, `inf`, `-inf`, as on the wire: JSON has no NaN.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.events import Number

Direction = Literal["max", "min"]


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its meaning.

    Attributes:
        name: what it is (`accuracy`, `mean_squared_error`).
        direction: whether more (`max`) or less (`min`) is better.
        value: the number.
    """

    name: str
    direction: Direction
    value: Number


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long one call takes, in milliseconds, at one batch size.

    Attributes:
        batch_size: rows in a call.
        median: the middle of all samples.
        low: the lower quartile.
        high: the upper quartile.
        minimum: the fastest sample: what the machine can do when its neighbours are quiet.
        repeats: how many samples there are.
        speedup: reference time / this time, the median over the interleaved pairs; below 1 is slower. None without a
            reference.
        speedup_low: the lower quartile of that ratio.
        speedup_high: the upper quartile of that ratio.
    """

    batch_size: int
    median: float
    low: float
    high: float
    minimum: float
    repeats: int
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None


class LayerCount(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of one prunable kernel.

    Attributes:
        key: the variable's key.
        shape: its shape.
        weights: its size.
        nonzero: how many of them are not zero.
        units: how many units it has.
        units_alive: how many units have a weight that is not zero.
    """

    key: str
    shape: tuple[int, ...]
    weights: int
    nonzero: int
    units: int
    units_alive: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is made of.

    Attributes:
        parameters: all weights of the model, those that are not trained included.
        nonzero: how many of them are not zero.
        prunable: the weights of all prunable kernels.
        prunable_nonzero: how many of them are not zero.
        units: units of the prunable kernels.
        units_alive: units with a weight that is not zero.
        bytes_raw: bytes of the weights as they lie in memory.
        bytes_nonzero: bytes of the weights that are not zero, their positions not counted.
        bytes_compressed: bytes of the packed weights, positions and all.
        layers: the same, kernel by kernel.
    """

    parameters: int
    nonzero: int
    prunable: int
    prunable_nonzero: int
    units: int
    units_alive: int
    bytes_raw: int
    bytes_nonzero: int
    bytes_compressed: int
    layers: tuple[LayerCount, ...] = ()

    @property
    def sparsity(self) -> float:
        """Share of the prunable weights that are zero (0 where nothing is prunable)."""
        return 1 - self.prunable_nonzero / self.prunable if self.prunable else 0.0


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of memory in use.

    Attributes:
        weights: the weights.
        activations: the most that lies between layers at once in one forward pass, computed from the graph; None where
            there is no graph to follow.
        batch_size: the batch that `activations` is for.
        process_peak: the most that the whole process (TensorFlow included) held while the latencies were taken,
            measured; None where the system does not tell.
        device_peak: the same on the accelerator, None without one.
    """

    weights: int
    activations: int | None = None
    batch_size: int = 1
    process_peak: int | None = None
    device_peak: int | None = None


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A difference of two shares with its confidence interval.

    Attributes:
        before: the share of the reference.
        after: the share of the model.
        difference: after - before.
        low: the interval's lower end.
        high: the interval's upper end.
        samples: how many inputs.
    """

    before: float
    after: float
    difference: float
    low: float
    high: float
    samples: int


class ClassEffect(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one class: its recall before and after, with the interval of the difference."""

    label: int
    recall: Interval


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two models on the same inputs.

    Attributes:
        agreement: share of inputs with the same predicted class.
        accuracy: both accuracies and their paired difference, or None without labels.
        lost: inputs that only the reference has right.
        gained: inputs that only the model has right.
        p_value: McNemar's exact two-sided test of `lost` against `gained`.
        classes: the effect class by class.
        confidence: the level of all intervals.
        method: how the intervals were made.
    """

    agreement: float
    accuracy: Interval | None = None
    lost: int = 0
    gained: int = 0
    p_value: float | None = None
    classes: tuple[ClassEffect, ...] = ()
    confidence: float = 0.95
    method: str = "Newcombe 1998, paired score interval (method 10)"


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """All that `engine.measure` found.

    Attributes:
        counts: parameters, non-zeros and bytes.
        metric: the main metric on the data, or None without data.
        top5: top-5 accuracy, from 10 classes on.
        loss: mean loss on the data.
        samples: rows of data.
        flops: floating-point operations of one row through the dense shapes (a multiply and an add are two).
        effective_flops: the same without the products with weights that are zero.
        theoretical_speedup: the reference's FLOPs (its own dense ones without a reference) over this model's effective
            FLOPs: what a perfect runtime could gain. It is no measurement; the measured one is in `latency`.
        latency: one entry a batch size.
        memory: bytes of memory.
        comparison: the model against the reference, input by input.
        reference: the dense control, measured alternately with the model.
        threads: threads that TensorFlow may use within an op.
        device: where it ran.
        runtime: what ran it, with its version.
        skipped: what was left out, and why.
    """

    counts: Counts
    metric: Value | None = None
    top5: float | None = None
    loss: Number | None = None
    samples: int = 0
    flops: int | None = None
    effective_flops: int | None = None
    theoretical_speedup: float | None = None
    latency: tuple[Latency, ...] = ()
    memory: Memory | None = None
    comparison: Comparison | None = None
    reference: Measurement | None = None
    threads: int = 1
    device: str = ""
    runtime: str = ""
    skipped: tuple[str, ...] = ()

    @property
    def compression(self) -> float | None:
        """Parameters of the reference (of itself without one) for each non-zero one left; None when nothing is left."""
        whole = (self.reference or self).counts.parameters
        return whole / self.counts.nonzero if self.counts.nonzero else None

    def at(self, batch_size: int) -> Latency | None:
        """The latency at this batch size, if it was measured."""
        return next((row for row in self.latency if row.batch_size == batch_size), None)


class RuntimeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One runtime's line in the table.

    Attributes:
        name: its name (`scipy`, `litert`, ...).
        title: its name for people, with its version.
        threads: threads that it used.
        latency: its times; `speedup` is against TensorFlow's own compiled function. None where it did not run.
        difference: largest absolute difference from TensorFlow's outputs.
        bytes: what it needs on disk, where that is its own.
        missing: why it did not run, or "".
    """

    name: str
    title: str
    threads: int = 1
    latency: Latency | None = None
    difference: Number | None = None
    bytes: int | None = None
    missing: str = ""


class Crossover(msgspec.Struct, frozen=True, kw_only=True):
    """From which sparsity on a sparse runtime beats a dense one.

    Attributes:
        runtime: the sparse one.
        against: the dense one.
        batch_size: rows in a call.
        sparsity: where they cross (between points in proportion); None where it does not win at the largest sparsity.
        points: `(sparsity, speed-up)` as measured.
    """

    runtime: str
    against: str
    batch_size: int
    sparsity: float | None
    points: tuple[tuple[float, float], ...]


class LayerChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What makes one fully connected layer fastest at a sparsity, in LiteRT on one thread.

    Attributes:
        key: the kernel's key.
        shape: its shape.
        sparsity: the share that goes.
        milliseconds: measured time by way: `dense` (nothing gained), `block:4x1`, `unit`.
        best: the fastest way.
        speedup: dense time / its time.
    """

    key: str
    shape: tuple[int, ...]
    sparsity: float
    milliseconds: dict[str, float]
    best: str
    speedup: float
