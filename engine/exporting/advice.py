"""What to expect of an artefact, in sentences with numbers of this model on this machine."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import ModelError
from engine.exporting import litert
from engine.exporting.values import ExportReport
from engine.layout import Kernel, kernels
from engine.measurement.cutting import cut_blocks
from engine.measurement.measuring import example_inputs
from engine.measurement.timing import interleaved

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
BLOCK = 4
"""LiteRT's sparse kernel for fully connected layers takes four neighbouring inputs of a unit at a time."""


def advice(model: keras.Model, report: ExportReport) -> list[str]:
    """Sentences for people: is it smaller, is it faster, and what would be."""
    found = kernels(model)
    total = sum(math.prod(k.shape) for k in found.values())
    zeros = sum(int(np.count_nonzero(k.variable.numpy() == 0)) for k in found.values())
    share = zeros / total if total else 0.0
    said = [_size(report, share)]
    said += _speed(report)
    single = (
        share > 0.01 and blocked_share(model) < 0.95 and report.format in ("litert", "litert_sparse", "litert_float16")
    )
    if single:
        gain = blocks_would_gain(model)
        blocks = f"; blocks of {BLOCK} along the inputs would run {_times(gain, 'here')}" if gain else ""
        where = "as here or packed" if "sparse" in report.format else "packed or with sparse encoding"
        said.append(f"These single zeros make the file smaller ({where}), not the model faster{blocks}.")
    silent = sum(k.units - _alive(k) for k in found.values())
    if silent:
        said.append(f"{silent:,} units are silent: engine.shrink takes them out, and then every runtime is faster.")
    check = report.check
    if check.tolerance is None and check.agreement is not None:
        drop = (
            f", accuracy {check.accuracy_before:.1%} before and {check.accuracy_after:.1%} after"
            if check.accuracy_before is not None and check.accuracy_after is not None
            else ""
        )
        said.append(
            f"It answers as its source on {check.agreement:.1%} of {check.samples:,} {_inputs(check.inputs)}{drop}."
        )
    return said


def zeros_in_words(model: keras.Model) -> str:
    """What the zeros in a model's fully connected layers are worth here, measured in LiteRT; "" where there are few."""
    if not any(_sparsity(k) > 0.3 for k in _dense_kernels(model)):
        return ""
    gain = blocks_would_gain(model)
    if gain is None:
        return ""
    if blocked_share(model) >= 0.95:
        return f"These zeros lie in blocks of {BLOCK}: exported as litert_sparse they run {_times(gain, 'here')}."
    blocks = f"blocks of {BLOCK} along the inputs would run {_times(gain, 'in LiteRT here')}"
    return f"These single zeros make the file smaller, not the model faster; {blocks}."


def blocked_share(model: keras.Model) -> float:
    """Share of the zeros in fully connected layers that lie in whole blocks of 4 along the inputs; 1 without zeros."""
    zeros = blocked = 0
    for kernel in _dense_kernels(model):
        zero = kernel.variable.numpy() == 0
        zeros += int(zero.sum())
        whole = zero[: zero.shape[0] // BLOCK * BLOCK].reshape(zero.shape[0] // BLOCK, BLOCK, zero.shape[1]).all(axis=1)
        blocked += BLOCK * int(whole.sum())
    return blocked / zeros if zeros else 1.0


def blocks_would_gain(model: keras.Model) -> float | None:
    """How many times faster LiteRT would run this model if its zeros in fully connected layers lay in blocks of 4.

    Measured: a copy with blocks of the smallest mean magnitude cut, as many weights as are zero now, stored sparsely,
    against the model as it is, one row, one thread. None where there is nothing to gain from.
    """
    import keras

    if not any(_sparsity(k) > 0.3 for k in _dense_kernels(model)):
        return None
    try:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        for kernel in _dense_kernels(copy):
            kernel.variable.assign(in_blocks(kernel.variable.numpy()))
        names, one = litert.input_names(model), example_inputs(model, None, 1)
        dense = litert.runner(litert.convert(model), names=names)
        sparse = litert.runner(litert.convert(copy, sparse=True), names=names)
    except (ModelError, ValueError, TypeError):
        return None  # a model that cannot be cloned or converted gets no such sentence
    samples = interleaved({"dense": lambda: dense(one), "sparse": lambda: sparse(one)}, repeats=21, seconds=0.3)
    return statistics.median(samples["dense"]) / statistics.median(samples["sparse"])


def in_blocks(kernel: Array) -> Array:
    """The kernel `(in, out)` with as many zeros as it has, but in blocks of 4 along the inputs, the weakest first."""
    return cut_blocks(kernel, int(np.count_nonzero(kernel == 0)) // BLOCK, block=BLOCK)


def _size(report: ExportReport, share: float) -> str:
    size, raw = report.bytes, report.weights_bytes
    said = f"{size:,} bytes, {size / raw:.2f} of the weights in memory" if raw else f"{size:,} bytes"
    if report.ideal_bytes:
        said += f", {size / report.ideal_bytes:.3f} of their entropy"
    if report.xz_bytes and report.format == "packed":
        said += f"; xz of the weights takes {report.xz_bytes:,}"
    if report.format == "packed":
        return f"{said}. Loaded again it is an ordinary Keras model, neither faster nor slower."
    if share > 0.01 and "sparse" not in report.format:
        return f"{said}. It stores its zeros ({share:.0%} of the kernels) like any number; packed does not."
    return f"{said}."


def _speed(report: ExportReport) -> list[str]:
    if report.milliseconds is None:
        return []
    one = f"One row takes {report.milliseconds:.3g} ms on one thread"
    if report.dense_milliseconds is None:
        return [f"{one}."]
    ratio = report.dense_milliseconds / report.milliseconds
    said = f"{one}, {report.dense_milliseconds:.3g} ms without sparse encoding: {_times(ratio)}"
    return [f"{said}. Take the dense format." if ratio < 0.9 else f"{said}."]


def _times(ratio: float, where: str = "") -> str:
    place = f" {where}" if where else ""
    if 0.95 < ratio < 1.05:
        return f"as fast{place}"
    return f"{ratio:.1f} times as fast{place}" if ratio >= 1 else f"{ratio:.2f} times as fast{place}, which is slower"


def _inputs(inputs: str) -> str:
    return "inputs" if inputs == "data" else inputs


def _dense_kernels(model: keras.Model) -> list[Kernel]:
    return [k for k in kernels(model).values() if type(k.layer).__name__ == "Dense" and len(k.shape) == 2]


def _sparsity(kernel: Kernel) -> float:
    return float(np.mean(kernel.variable.numpy() == 0))


def _alive(kernel: Kernel) -> int:
    return int(np.count_nonzero(kernel.layout.columns(kernel.variable.numpy() != 0).any(axis=0)))
