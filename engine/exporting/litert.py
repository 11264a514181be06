"""LiteRT (once TensorFlow Lite): conversion, and running what came out.

Traps of TensorFlow 2.21: `from_concrete_functions` on a Keras 3 model silently loses the weights, so models go in
whole; sparse encoding together with dynamic int8 converts but does not run, so it is refused.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engine.errors import DataError, ModelError

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
Numbers = Literal["float32", "float16", "int8", "int8_full"]


def convert(
    model: keras.Model, numbers: Numbers = "float32", *, sparse: bool = False, examples: Iterable[Any] | None = None
) -> bytes:
    """The model as a LiteRT flatbuffer.

    Args:
        model: a built model with fixed input sizes.
        numbers: `float32`; `float16` weights; `int8` weights (activations quantised as they come); `int8_full`
            (activations too, to ranges seen on examples; inputs and outputs stay float).
        sparse: store weights that are zero in blocks (or singly) sparsely, for kernels that skip them.
        examples: inputs of one row each, for `int8_full`.

    Raises:
        DataError: `int8_full` without examples.
        ModelError: when the converter does not take the model.
    """
    import tensorflow as tf

    if sparse and numbers.startswith("int8"):
        raise ModelError("sparse encoding with int8 weights converts but does not run", todo="Take float32 or float16")
    rows = list(examples or ())
    if numbers == "int8_full" and not rows:
        raise DataError("full int8 needs representative inputs", todo="Pass data, a hundred rows or more")
    optimizations = [] if numbers == "float32" else [tf.lite.Optimize.DEFAULT]
    if sparse:
        optimizations.append(tf.lite.Optimize.EXPERIMENTAL_SPARSITY)

    def made(*, one_row: bool) -> bytes:
        # The exporter underneath prints what it wrote; quantising without given input ranges warns of what is meant.
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            converter = _converter(model, folder, one_row=one_row)
            converter.optimizations = optimizations
            if numbers == "float16":
                converter.target_spec.supported_types = [tf.float16]
            if numbers == "int8_full":
                converter.representative_dataset = lambda: iter([_named(model, row) for row in rows])
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            with _known_warnings():
                warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
                return bytes(converter.convert())

    # Converters raise anything, ConverterError and plain RuntimeError included.
    try:
        return made(one_row=False)
    except Exception as first:
        # Recurrent layers convert only where the number of rows is known: one is what LiteRT is mostly asked for.
        try:
            if len(getattr(model, "inputs", None) or ()) == 1:
                return made(one_row=True)
        except Exception as second:
            raise _refused(model, second) from second
        raise _refused(model, first) from first


def interpreter(content: bytes, *, threads: int = 1) -> Any:
    """An interpreter of the flatbuffer: of `ai-edge-litert` where it is installed, else of TensorFlow."""
    if importlib.util.find_spec("ai_edge_litert") is not None:
        kind = importlib.import_module("ai_edge_litert.interpreter").Interpreter
    else:
        import tensorflow as tf

        kind = tf.lite.Interpreter
    with _known_warnings():
        return kind(model_content=content, num_threads=threads)


def interpreter_name() -> str:
    """Whose interpreter `interpreter` gives, with its version."""
    from importlib import metadata

    if importlib.util.find_spec("ai_edge_litert") is not None:
        return f"LiteRT {metadata.version('ai-edge-litert')}"
    return f"LiteRT in TensorFlow {metadata.version('tensorflow')}"


def runner(
    content: bytes, *, threads: int = 1, rows: int = 1, names: Sequence[str] = ()
) -> Callable[[Any], list[Array]]:
    """A function from inputs of so many rows to the list of outputs, in the model's order.

    Args:
        content: a flatbuffer.
        threads: threads to use.
        rows: rows of each call; the interpreter is shaped for them once.
        names: the inputs' names in the order in which a list of inputs comes (`input_names`).

    Raises:
        ModelError: when the interpreter refuses the model.
    """
    engine = interpreter(content, threads=threads)
    shapes = {d["index"]: [rows, *d["shape"][1:]] if rows != 1 else [*d["shape"]] for d in engine.get_input_details()}
    # Sizes that the model leaves open (sequences) are known when inputs come.
    is_open = any((np.asarray(d["shape_signature"])[1:] < 0).any() for d in engine.get_input_details())

    def ready() -> None:
        try:
            for index, shape in shapes.items():
                engine.resize_tensor_input(index, shape)
            engine.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"LiteRT does not run the model ({str(error).splitlines()[0]})") from error

    if not is_open:
        ready()
    signature = engine.get_signature_runner()
    inputs = {name: (d["index"], d["dtype"]) for name, d in signature.get_input_details().items()}
    outputs = {name: d["index"] for name, d in signature.get_output_details().items()}
    feeds = [inputs[name] for name in (names if set(names) == set(inputs) else inputs)]
    places = [outputs[name] for name in sorted(outputs, key=_natural)]

    def run(x: Any) -> list[Array]:
        values = [np.asarray(value, dtype) for (_, dtype), value in zip(feeds, flat(x), strict=True)]
        given = {place: [*value.shape] for (place, _), value in zip(feeds, values, strict=True)}
        if is_open and given != shapes:
            shapes.update(given)
            ready()
        for (place, _), value in zip(feeds, values, strict=True):
            engine.set_tensor(place, value)
        engine.invoke()
        return [engine.get_tensor(place) for place in places]

    return run


def input_names(model: keras.Model) -> list[str]:
    """The names of the inputs in the flatbuffer, in the model's own order."""
    return [str(tensor.name) for tensor in getattr(model, "inputs", None) or ()]


@contextlib.contextmanager
def _known_warnings() -> Iterator[None]:
    # TensorFlow says that its interpreter will move to ai-edge-litert; its calibrator uses it all the same.
    with warnings.catch_warnings():
        message = r"\s*Warning: tf\.lite\.Interpreter is deprecated"
        warnings.filterwarnings("ignore", message=message, category=UserWarning)
        yield


def flat(x: Any) -> list[Any]:
    """The inputs as a list in the model's order: Keras sorts the keys of a dict."""
    if isinstance(x, dict):
        return [x[key] for key in sorted(x)]
    return list(x) if isinstance(x, list | tuple) else [x]


def half_types(model: keras.Model) -> list[str]:
    """The 16-bit types that layers of the model compute in."""
    return sorted({"float16", "bfloat16"} & {str(layer.compute_dtype) for layer in model._flatten_layers()})


def _refused(model: keras.Model, error: Exception) -> ModelError:
    if halves := half_types(model):
        return ModelError(
            f"the model computes in {' and '.join(halves)}, and LiteRT cannot",
            todo="Give its layers the dtype float32 (its weights stay), or export to onnx, savedmodel or keras",
        )
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelError(
        f"LiteRT's converter does not take the model ({said[:160]})", todo="Its log may say which operation"
    )


def _converter(model: keras.Model, folder: str, *, one_row: bool) -> Any:
    import tensorflow as tf

    plain = len(getattr(model, "inputs", None) or ()) == 1 and len(getattr(model, "outputs", ())) == 1
    if one_row:
        import keras

        given = model.inputs[0]
        spec = keras.InputSpec(shape=(1, *given.shape[1:]), dtype=given.dtype, name=given.name)
        model.export(folder, format="tf_saved_model", verbose=False, input_signature=[spec])
        return tf.lite.TFLiteConverter.from_saved_model(folder)
    if plain and not isinstance(getattr(model, "_inputs_struct", None), dict):
        return tf.lite.TFLiteConverter.from_keras_model(model)
    # Dicts of inputs or outputs do not go in whole, and the order of several is lost on the way.
    model.export(folder, format="tf_saved_model", verbose=False)
    return tf.lite.TFLiteConverter.from_saved_model(folder)


def _natural(name: str) -> tuple[str, int]:
    head = name.rstrip("0123456789")
    return head, int(name[len(head) :] or 0)


def _named(model: keras.Model, row: Any) -> Any:
    values = flat(row)
    return dict(zip(input_names(model), values, strict=True)) if len(values) > 1 else values
