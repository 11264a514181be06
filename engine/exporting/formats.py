"""The formats: how each is written, and how each is opened again to be checked."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import io
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import ModelError, UnknownName
from engine.exporting import litert
from engine.exporting.packing import load_packed, save_packed
from engine.measurement.measuring import example_inputs

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
Run = Callable[[Any], list[Array]]


@dataclasses.dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: its name.
        title: what it is, in a few words.
        suffix: what its file names end in ("" for a folder).
        write: writes the model to a path; gets example inputs of one row each where there are any. What it gives is
            kept for the report.
        open: opens a path: what ran it, and a function from inputs to the list of outputs.
        tolerance: largest difference of outputs up to 1, relative above; None where rounding is part of the format.
        one_row: the artefact is run row by row.
    """

    name: str
    title: str
    suffix: str
    write: Callable[[keras.Model, Path, Iterable[Any]], Any]
    open: Callable[[Path, keras.Model, dict[str, Any] | None], tuple[str, Run]]
    tolerance: float | None = 1e-5
    one_row: bool = False


def get_format(name: str | None, path: str | Path = "") -> Format:
    """The format of that name (`-` or `_` as one likes); without a name the one that the path's ending means.

    Raises:
        UnknownName: for anything else.
    """
    if name is None:
        suffix = Path(path).suffix.lower()
        return FORMATS[next((f.name for f in FORMATS.values() if f.suffix and f.suffix == suffix), "savedmodel")]
    found = FORMATS.get(name.lower().replace("-", "_").replace(":", "_"))
    if found is None:
        raise UnknownName("export format", name, FORMATS)
    return found


def _write_keras(model: keras.Model, path: Path, _examples: Iterable[Any]) -> None:
    with warnings.catch_warnings():
        # TensorFlow's variables do not know NumPy 2's copy keyword yet, and NumPy says so while Keras reads them.
        warnings.filterwarnings(
            "ignore", message="__array__ implementation doesn't accept", category=DeprecationWarning
        )
        model.save(path)


def _open_keras(path: Path, _model: keras.Model, custom_objects: dict[str, Any] | None) -> tuple[str, Run]:
    import keras

    # Written a moment ago from the model in memory: the only code in it is that model's own.
    loaded = keras.models.load_model(path, custom_objects=custom_objects, compile=False, safe_mode=False)
    return f"Keras {keras.__version__}", _keras_run(loaded)


def _write_packed(model: keras.Model, path: Path, _examples: Iterable[Any]) -> Any:
    return save_packed(model, path)


def _open_packed(path: Path, model: keras.Model, custom_objects: dict[str, Any] | None) -> tuple[str, Run]:
    loaded = load_packed(path, custom_objects=custom_objects)
    for before, after in zip(model.weights, loaded.weights, strict=True):
        a, b = np.asarray(before.numpy()), np.asarray(after.numpy())
        if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
            raise ModelError("the packed weight does not come back as it was", where=str(before.path))
    return "prune-tui", _keras_run(loaded)


def _keras_run(model: keras.Model) -> Run:
    import keras

    return lambda x: [np.asarray(t) for t in keras.tree.flatten(model(x, training=False))]


def _write_savedmodel(model: keras.Model, path: Path, _examples: Iterable[Any]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        model.export(str(path), format="tf_saved_model", verbose=False)


def _open_savedmodel(path: Path, _model: keras.Model, _custom: dict[str, Any] | None) -> tuple[str, Run]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def run(x: Any) -> list[Array]:
        tensors = tf.nest.map_structure(tf.convert_to_tensor, x)
        return [t.numpy() for t in tf.nest.flatten(loaded.serve(tensors))]

    # The function holds the variables only weakly, so the object has to live as long as it does.
    run.keep = loaded  # type: ignore[attr-defined]
    return f"TensorFlow {tf.__version__}", run


def _write_onnx(model: keras.Model, path: Path, examples: Iterable[Any]) -> None:
    missing = [name for name in ("onnx", "tf2onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(
            f"ONNX export needs {' and '.join(missing)}, which the extra brings",
            todo="Install prune-tui[onnx]",
        )
    first = next(iter(examples), None)
    model(example_inputs(model, None, 1) if first is None else first, training=False)  # Keras exports what was called
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # Keras patches tf2onnx for NumPy 2 and meets NumPy's own word on it.
        warnings.filterwarnings("ignore", message="In the future `np.object`", category=FutureWarning)
        model.export(str(path), format="onnx", verbose=False)


def _open_onnx(path: Path, model: keras.Model, _custom: dict[str, Any] | None) -> tuple[str, Run]:
    names = [str(t.name) for t in getattr(model, "inputs", ())]
    if importlib.util.find_spec("onnxruntime") is not None:
        runtime = importlib.import_module("onnxruntime")
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        feeds = [i.name for i in session.get_inputs()]
        return f"ONNX Runtime {runtime.__version__}", lambda x: list(session.run(None, _feed(x, feeds, names)))
    onnx = importlib.import_module("onnx")
    evaluator = importlib.import_module("onnx.reference").ReferenceEvaluator(str(path))
    return f"ONNX {onnx.__version__}, reference", lambda x: [
        np.asarray(t) for t in evaluator.run(None, _feed(x, evaluator.input_names, names))
    ]


def _feed(x: Any, feeds: list[str], names: list[str]) -> dict[str, Array]:
    order = names if set(names) == set(feeds) else feeds
    return dict(zip(order, map(np.asarray, litert.flat(x)), strict=True))


def _write_litert(
    model: keras.Model, path: Path, examples: Iterable[Any], *, numbers: litert.Numbers, sparse: bool = False
) -> None:
    path.write_bytes(litert.convert(model, numbers, sparse=sparse, examples=examples))


def _open_litert(path: Path, model: keras.Model, _custom: dict[str, Any] | None) -> tuple[str, Run]:
    return litert.interpreter_name(), litert.runner(path.read_bytes(), names=litert.input_names(model))


def _lite(name: str, title: str, tolerance: float | None, numbers: litert.Numbers, *, sparse: bool = False) -> Format:
    write = functools.partial(_write_litert, numbers=numbers, sparse=sparse)
    return Format(name, title, ".tflite", write, _open_litert, tolerance, one_row=True)


def _all() -> Iterator[Format]:
    yield Format("keras", "Keras' own file: train on, load anywhere Keras is", ".keras", _write_keras, _open_keras)
    yield Format("packed", "the smallest file that comes back bit by bit", ".packed", _write_packed, _open_packed, 0.0)
    yield _lite("litert", "LiteRT, float32", 1e-5, "float32")
    yield _lite("litert_float16", "LiteRT, weights in 16 bits", None, "float16")
    yield _lite("litert_int8", "LiteRT, weights in 8 bits", None, "int8")
    yield _lite("litert_int8_full", "LiteRT, weights and activations in 8 bits", None, "int8_full")
    yield _lite("litert_sparse", "LiteRT, zeros stored and run sparsely", 1e-5, "float32", sparse=True)
    yield _lite("litert_sparse_float16", "LiteRT, sparse, in 16 bits", None, "float16", sparse=True)
    yield Format("onnx", "ONNX, for ONNX Runtime and others", ".onnx", _write_onnx, _open_onnx)
    yield Format("savedmodel", "TensorFlow's SavedModel folder", "", _write_savedmodel, _open_savedmodel)


FORMATS: dict[str, Format] = {f.name: f for f in _all()}
