"""Which runtime is fastest for this model at this sparsity: all that are installed, timed in turns."""

from __future__ import annotations

import dataclasses
import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import ModelError, UnknownName
from engine.events import Number, number
from engine.exporting import litert
from engine.exporting.formats import FORMATS
from engine.measurement.chain import chain, numpy_dense, scipy_csr, tf_sparse
from engine.measurement.differences import largest_difference
from engine.measurement.measuring import example_inputs, threads, timed_call
from engine.measurement.timing import Call, interleaved, summary
from engine.measurement.values import RuntimeRow

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A runtime that is ready.

    Attributes:
        title: its name for people, with its version.
        threads: threads that it uses.
        run: answers the inputs that it was prepared for.
        bytes: what it needs on disk, where that is its own.
    """

    title: str
    threads: int
    run: Callable[[], Any]
    bytes: int | None = None


def runtimes(
    model: keras.Model,
    data: Any = None,
    *,
    batch_size: int = 1,
    only: Sequence[str] | None = None,
    repeats: int = 30,
    seconds: float = 0.5,
) -> tuple[RuntimeRow, ...]:
    """Times the model in every runtime that can run it, interleaved, and compares their answers.

    Args:
        model: a built model.
        data: where inputs are taken from; without it they are drawn.
        batch_size: rows in a call.
        only: names from `RUNTIMES`; all without it. TensorFlow is always there: the others are compared with it.
        repeats: timed samples of each.
        seconds: budget of each.

    Returns:
        A row for each, in the order of `RUNTIMES`; a runtime that is not installed or does not take the model says so
        in `missing`.

    Raises:
        UnknownName: one of `only` is none of `RUNTIMES`.
    """
    for name in only or ():
        if name not in RUNTIMES:
            raise UnknownName("runtime", name, RUNTIMES)
    x = example_inputs(model, data, batch_size)
    wanted = _answers(model(x, training=False))
    ready: dict[str, Entry] = {}
    missing: dict[str, str] = {}
    for name, prepare in RUNTIMES.items():
        if only is not None and name not in (*only, "tensorflow"):
            continue
        try:
            entry = prepare(model, x)
            entry.run()
            ready[name] = entry
        except Exception as error:  # a runtime may refuse a model in any way; the others are timed all the same
            missing[name] = (str(error).strip() or type(error).__name__).splitlines()[0]
    calls: dict[str, Call] = {name: entry.run for name, entry in ready.items()}
    with one_blas_thread():
        samples = interleaved(calls, repeats=repeats, seconds=seconds)
    rows = []
    for name in RUNTIMES:
        if name in ready:
            entry = ready[name]
            control = None if name == "tensorflow" else samples.get("tensorflow")
            rows.append(
                RuntimeRow(
                    name=name,
                    title=entry.title,
                    threads=entry.threads,
                    latency=summary(batch_size, samples[name], control),
                    difference=_difference(wanted, _answers(entry.run())),
                    bytes=entry.bytes,
                )
            )
        elif name in missing:
            rows.append(RuntimeRow(name=name, title=name, missing=missing[name]))
    return tuple(rows)


def one_blas_thread() -> AbstractContextManager[Any]:
    """Within it NumPy's dense products use one thread, as SciPy's sparse ones always do."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _tensorflow(model: keras.Model, x: Any, *, xla: bool = False) -> Entry:
    import tensorflow as tf

    title = f"TensorFlow {tf.__version__}{', XLA' if xla else ''}"
    return Entry(title, threads(), timed_call(model, x, jit_compile=xla))


def _tf_sparse(model: keras.Model, x: Any) -> Entry:
    import tensorflow as tf

    run, tensor = tf_sparse(chain(model)), tf.convert_to_tensor(x)
    return Entry(f"TensorFlow {tf.__version__}, sparse matrices", threads(), lambda: run(tensor).numpy())


def _numpy(model: keras.Model, x: Any) -> Entry:
    run = numpy_dense(chain(model))
    return Entry(f"NumPy {np.__version__}, dense", 1, lambda: run(x))


def _scipy(model: keras.Model, x: Any) -> Entry:
    import scipy

    run = scipy_csr(chain(model))
    return Entry(f"SciPy {scipy.__version__}, CSR", 1, lambda: run(x))


def _litert(model: keras.Model, x: Any, *, threads: int = 1, sparse: bool = False, int8: bool = False) -> Entry:
    content = litert.convert(model, "int8" if int8 else "float32", sparse=sparse)
    rows = len(litert.flat(x)[0])
    run = litert.runner(content, threads=threads, rows=rows, names=litert.input_names(model))
    extra = ", sparse encoding" if sparse else ", int8 weights" if int8 else ""
    return Entry(f"{litert.interpreter_name()}{extra}", threads, lambda: run(x), len(content))


def _onnx(model: keras.Model, x: Any) -> Entry:
    if importlib.util.find_spec("onnxruntime") is None:
        raise ModelError("ONNX Runtime is not installed", todo="Install prune-tui[onnx]")
    chosen = FORMATS["onnx"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        chosen.write(model, path, [x])
        title, run = chosen.open(path, model, None)
        size = path.stat().st_size
    return Entry(title, 1, lambda: run(x), size)


RUNTIMES: dict[str, Callable[[Any, Any], Entry]] = {
    "tensorflow": _tensorflow,
    "tensorflow_xla": lambda model, x: _tensorflow(model, x, xla=True),
    "tensorflow_sparse": _tf_sparse,
    "numpy": _numpy,
    "scipy": _scipy,
    "litert": _litert,
    "litert_2": lambda model, x: _litert(model, x, threads=2),
    "litert_sparse": lambda model, x: _litert(model, x, sparse=True),
    "litert_int8": lambda model, x: _litert(model, x, int8=True),
    "onnx": _onnx,
}
"""How each runtime is made ready for a model and its inputs; raises where it cannot be."""


def _answers(outputs: Any) -> list[Array]:
    import keras

    return [np.asarray(t) for t in keras.tree.flatten(outputs)]


def _difference(wanted: list[Array], given: list[Array]) -> Number | None:
    if [w.shape for w in wanted] != [g.shape for g in given]:
        return None
    apart = [largest_difference(w, g) for w, g in zip(wanted, given, strict=True)]
    return number(max(apart, default=0.0))
