"""Bytes in use: computed between the layers, measured for the process and the accelerator."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def activation_bytes(model: keras.Model, batch_size: int = 1) -> int | None:
    """The most bytes that tensors between layers take at once in a forward pass, each freed after its last reader.

    Args:
        model: a functional or sequential model. A nested model counts as one step.
        batch_size: rows in the pass.

    Returns:
        Bytes, or None for a model without a graph or with sizes that are not fixed.
    """
    graph = getattr(model, "_functional", None) or model  # a Sequential keeps its graph inside
    by_depth = getattr(graph, "_nodes_by_depth", {})
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    made: dict[int, int] = {}
    last: dict[int, int] = {}
    for step, node in enumerate(nodes):
        for tensor in node.input_tensors:
            last[id(tensor)] = step
        for tensor in node.outputs:
            size = _bytes(tensor, batch_size)
            if size is None:
                return None
            made[id(tensor)] = size
    if not nodes:
        return None
    for tensor in graph.outputs:
        last[id(tensor)] = len(nodes)
    alive: dict[int, int] = {}
    peak = 0
    for step, node in enumerate(nodes):
        alive.update({id(tensor): made[id(tensor)] for tensor in node.outputs})
        peak = max(peak, sum(alive.values()))
        alive = {t: size for t, size in alive.items() if last.get(t, step) > step}
    return peak


@contextmanager
def process_peak() -> Iterator[dict[str, int | None]]:
    """Yields a dict whose `bytes` holds, afterwards, the most memory that this process held inside the block.

    Linux lets a process reset that mark; where it cannot be reset, the peak since the process began is given.
    """
    found: dict[str, int | None] = {"bytes": None}
    with suppress(OSError):  # no such file (macOS) or not allowed: the mark of the whole life is what there is
        Path("/proc/self/clear_refs").write_text("5")
    yield found
    found["bytes"] = _high_water()


@contextmanager
def device_peak() -> Iterator[dict[str, int | None]]:
    """The same for the first accelerator; None without one."""
    import tensorflow as tf

    found: dict[str, int | None] = {"bytes": None}
    devices = tf.config.list_logical_devices("GPU")
    if devices:
        tf.config.experimental.reset_memory_stats("GPU:0")
    yield found
    if devices:
        found["bytes"] = int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def _high_water() -> int | None:
    try:
        match = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        match = None
    if match:
        return int(match.group(1)) * 1024
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _bytes(tensor: Any, batch_size: int) -> int | None:
    shape = list(tensor.shape)
    if shape and shape[0] is None:
        shape[0] = batch_size
    if any(n is None for n in shape):
        return None
    widths = {"bool": 1, "float64": 8, "int64": 8, "uint64": 8, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1}
    return int(math.prod(shape)) * widths.get(str(tensor.dtype), 4)
