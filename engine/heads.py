"""What a model's output is: logits, or probabilities that a final softmax or sigmoid has made of them.

It is read off the graph that TensorFlow traces, so it works for functional, sequential and subclassed models, and
wherever the activation is written (an argument, a layer, a plain op).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import keras

Final = Literal["softmax", "log_softmax", "sigmoid", "linear"]
_FINAL: dict[str, Final] = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}
_THROUGH = {"Identity", "Cast", "Reshape", "Squeeze", "ExpandDims"}  # what may come after it


def logits_of(output: Any) -> tuple[str, Any]:
    """The tensor before a final softmax or sigmoid, and which it was (`softmax`, `sigmoid`, or `linear` for none).

    Args:
        output: a tensor of a graph that is being traced.
    """
    import tensorflow as tf

    tensor = _made_by(output)
    final = _FINAL.get(tensor.op.type)
    if final is None:
        return "linear", output
    logits = tensor.op.inputs[0]
    if tensor.shape.rank == output.shape.rank and tensor.shape.is_compatible_with(output.shape):
        return final.removeprefix("log_"), logits
    if final != "sigmoid" and tensor.shape[-1] != output.shape[-1]:
        return "linear", output  # several distributions side by side: no softmax of the whole
    return final.removeprefix("log_"), tf.reshape(logits, tf.shape(output))


def final_of(output: Any) -> Final:
    """The activation that an output of a traced graph ends in."""
    return _FINAL.get(_made_by(output).op.type, "linear")


def _made_by(output: Any) -> Any:
    """The tensor from which an output was made by changes of shape or type alone."""
    tensor = output
    while tensor.op.type in _THROUGH:
        tensor = tensor.op.inputs[0]
    return tensor


def final_activation(model: keras.Model) -> Final:
    """The activation that a model's first output ends in; `linear` where its inputs are not known."""
    import tensorflow as tf

    inputs = getattr(model, "inputs", None)
    if not inputs:
        return "linear"
    structure = getattr(model, "_inputs_struct", None)
    if structure is None:
        structure = inputs[0] if len(inputs) == 1 else list(inputs)
    specs = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), structure)
    traced: Any = tf.function(lambda x: model(x, training=False), autograph=False)
    return final_of(traced.get_concrete_function(specs).graph.outputs[0])
