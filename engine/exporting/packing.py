r"""The packed format: one file with an architecture and all its weights, bit by bit, close to their entropy.

    magic      8 bytes   "\x89PRUNE1\n"
    sizes      8 bytes   length of the description in the file and unpacked, little-endian u32 each
    description          JSON, deflated with a preset dictionary: Keras' configuration, and for each group of weights
                         its type, its shapes and its streams as [coder, bytes raw, bytes coded]
    streams              one after the other
    check      4 bytes   CRC-32 of all before

Negative zeros are kept while they are few. Where they are many they are what a mask left of negative weights; their
signs would cost a bit for every pruned weight and mean nothing, so they are written as plain zeros, and `Packed` counts
them.

Large arrays are groups of their own; small ones of one type share a group. There is no code in the file and no pickle:
the architecture is read by Keras in its safe mode. Compilation and optimizer state are left behind.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import DataError, ModelError
from engine.exporting.coding import Coded, Stream, decode, encode, ideal_size
from engine.files import write_atomically

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
MAGIC = b"\x89PRUNE1\n"
SMALL = 512
"""Arrays below this many entries share a group: a stream of their own would cost more than it saves."""
FEW = 64
"""Up to one negative zero in so many zeros is kept as it is."""
_MOST_JSON = 1 << 28
# What every Keras configuration says. Part of the format: never change it, only add a new magic.
_DICTIONARY = (
    b'"registered_name":null,"build_config":{"input_shape":[null,"sparse":false,"ragged":false,"optional":false'
    b'"kernel_constraint":null,"bias_constraint":null,"quantization_config":null,"lora_rank":null'
    b'"depthwise_initializer":"pointwise_initializer":"embeddings_initializer":"recurrent_initializer":"groups":1,'
    b'"data_format":"channels_last","dilation_rate":[1,1],"padding":"same","padding":"valid","strides":[1,1],'
    b'"strides":[2,2],"kernel_size":[3,3],"pool_size":[2,2],"filters":64,"class_name":"Conv2D","class_name":"Add",'
    b'"class_name":"BatchNormalization","axis":-1,"momentum":0.99,"epsilon":0.001,"center":true,"scale":true,'
    b'"beta_initializer":"gamma_initializer":{"module":"keras.initializers","class_name":"Ones","config":{},'
    b'"moving_mean_initializer":"moving_variance_initializer":"beta_regularizer":null,"gamma_regularizer":null,'
    b'"beta_constraint":null,"gamma_constraint":null,"synchronized":false,"class_name":"MaxPooling2D",'
    b'"class_name":"GlobalAveragePooling2D","keepdims":false,"class_name":"Flatten","class_name":"Activation",'
    b'"class_name":"ReLU","class_name":"Dropout","rate":0.5,"seed":null,"noise_shape":null,'
    b'"class_name":"Functional","input_layers":[["input_layer",0,0]],"output_layers":[["dense",0,0]],'
    b'"inbound_nodes":[{"args":[{"class_name":"__keras_tensor__","config":{"shape":[null,'
    b'"keras_history":["dense",0,0]}}],"kwargs":{}}]"activity_regularizer":null'
    b'{"config":{"module":"keras","class_name":"Sequential","config":{"name":"sequential","trainable":true,'
    b'"dtype":{"module":"keras","class_name":"DTypePolicy","config":{"name":"float32"},"registered_name":null},'
    b'"layers":[{"module":"keras.layers","class_name":"InputLayer","config":{"batch_shape":[null,'
    b'"dtype":"float32","sparse":false,"ragged":false,"name":"input_layer","optional":false},"registered_name":null},'
    b'{"module":"keras.layers","class_name":"Dense","config":{"name":"dense_1","trainable":true,'
    b'"units":100,"activation":"softmax","activation":"linear","activation":"relu","use_bias":true,'
    b'"kernel_initializer":{"module":"keras.initializers","class_name":"GlorotUniform","config":{"seed":null,'
    b'"input_axes":null,"output_axes":null},"registered_name":null},"bias_initializer":{"module":"keras.initializers",'
    b'"class_name":"Zeros","config":{},"registered_name":null},"kernel_regularizer":null,"bias_regularizer":null,'
    b'"kernel_constraint":null,"bias_constraint":null,"quantization_config":null},"registered_name":null,'
    b'"build_config":{"input_shape":[null,784]}}'
)


@dataclasses.dataclass(frozen=True)
class Packed:
    """A packed model.

    Attributes:
        content: the file's bytes.
        ideal: bytes of an ideal coding of its weights (`coding.ideal_size`), to judge the file by.
        unsigned: how many negative zeros were written as zeros.
    """

    content: bytes
    ideal: float
    unsigned: int


def pack(model: keras.Model) -> Packed:
    """The model as a packed file's bytes.

    Raises:
        ModelError: when the model holds state that is no weight (a vocabulary), or cannot say its configuration.
    """
    config = _config(model)
    given = [np.asarray(w.numpy()) for w in model.weights]
    arrays = [_without_negative_zeros(a) for a in given]
    groups: list[dict[str, Any]] = []
    content: list[bytes] = []
    ideal = 0.0
    for members in _grouped(arrays):
        joined = arrays[members[0]] if len(members) == 1 else np.concatenate([arrays[i].reshape(-1) for i in members])
        coded = encode(joined)
        ideal += ideal_size(joined)
        groups.append(
            {
                "t": joined.dtype.name,
                "w": [[i, *arrays[i].shape] for i in members],
                "p": coded.positions,
                "k": coded.kept,
                "s": [n for s in coded.streams for n in (s.coder, s.raw, len(s.content))],
            }
        )
        content += [s.content for s in coded.streams]
    text = json.dumps({"config": config, "groups": groups}, separators=(",", ":")).encode()
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=_DICTIONARY)
    description = squeezed.compress(text) + squeezed.flush()
    body = b"".join([MAGIC, struct.pack("<II", len(description), len(text)), description, *content])
    unsigned = sum(int(np.count_nonzero(a.view("u1") != b.view("u1"))) for a, b in _changed(given, arrays))
    return Packed(body + struct.pack("<I", zlib.crc32(body)), ideal, unsigned)


def save_packed(model: keras.Model, path: str | Path) -> Packed:
    """Writes the packed file, whole or not at all."""
    packed = pack(model)
    write_atomically(path, packed.content)
    return packed


def load_packed(path: str | Path, *, custom_objects: dict[str, Any] | None = None) -> keras.Model:
    """The model of a packed file: same architecture, same weights to the last bit, not compiled.

    Args:
        path: a file that `engine.export(..., format="packed")` wrote.
        custom_objects: classes of your own by name, as for `keras.models.load_model`.

    Raises:
        DataError: when the file is missing, damaged or something else.
        ModelError: when Keras does not accept the architecture (unknown or unsafe classes).
    """
    import keras

    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", where=str(path)) from error
    try:
        described, at = _describe(content)
        config, groups = described["config"], [_Group(group) for group in described["groups"]]
    except (ValueError, KeyError, TypeError, IndexError, struct.error) as error:
        raise DataError(f"the packed file's description makes no sense ({error})", where=str(path)) from error
    except DataError as error:
        raise DataError(error.what, where=str(path), todo=error.todo) from error
    try:
        model: keras.Model = keras.saving.deserialize_keras_object(
            config, custom_objects=custom_objects, safe_mode=True
        )
    except Exception as error:  # Keras raises whatever a class's constructor raises
        raise ModelError(
            f"Keras does not accept the packed architecture ({_first_line(error)})",
            where=str(path),
            todo="Classes of your own go into custom_objects",
        ) from error
    try:
        _fill(model, groups, content, at)
    except DataError as error:
        raise DataError(error.what, where=str(path), todo=error.todo) from error
    return model


def _config(model: keras.Model) -> Any:
    import keras

    for layer in model._flatten_layers(include_self=False, recursive=True):
        if hasattr(layer, "get_vocabulary"):
            raise ModelError(
                "a vocabulary is no weight, and packed files hold weights only",
                where=layer.name,
                todo="Export to keras",
            )
    try:
        config = keras.saving.serialize_keras_object(model)
    except NotImplementedError as error:
        raise ModelError(
            f"the model cannot say its configuration ({_first_line(error)})",
            todo="Give it a get_config, or export to keras",
        ) from error
    config.pop("compile_config", None)
    return config


def _without_negative_zeros(array: Array) -> Array:
    if not np.issubdtype(array.dtype, np.floating) and array.dtype.kind != "V":
        return array
    zeros = array == 0
    negative = zeros & np.signbit(array)
    if np.count_nonzero(negative) * FEW <= np.count_nonzero(zeros):
        return array
    return np.where(negative, np.zeros((), array.dtype), array)


def _changed(before: list[Array], after: list[Array]) -> list[tuple[Array, Array]]:
    return [(np.atleast_1d(a), np.atleast_1d(b)) for a, b in zip(before, after, strict=True) if a is not b]


def _grouped(arrays: list[Array]) -> list[list[int]]:
    groups: list[list[int]] = []
    small: dict[str, list[int]] = {}
    for i, array in enumerate(arrays):
        if array.size >= SMALL:
            groups.append([i])
        else:
            small.setdefault(array.dtype.name, []).append(i)
    return [*groups, *small.values()]


class _Group:
    """One group of the description; nothing in it has been believed yet."""

    def __init__(self, plain: dict[str, Any]) -> None:
        self.dtype = _dtype(str(plain["t"]))
        self.members = {int(row[0]): tuple(int(n) for n in row[1:]) for row in plain["w"]}
        self.positions, self.kept = int(plain["p"]), int(plain["k"])
        numbers = [int(n) for n in plain["s"]]
        self.streams = list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
        if self.kept < 0 or any(n < 0 for n in numbers):
            raise ValueError("a negative size")

    def arrays(self, content: bytes, at: int) -> dict[int, Array]:
        """The group's weights, its streams beginning at this byte of the file."""
        streams = []
        for coder, raw, size in self.streams:
            streams.append(Stream(coder, raw, content[at : at + size]))
            at += size
        sizes = [math.prod(shape) for shape in self.members.values()]
        whole = next(iter(self.members.values())) if len(sizes) == 1 else (sum(sizes),)
        flat = decode(Coded(self.positions, self.kept, tuple(streams)), whole, self.dtype).reshape(-1)
        ends = itertools.accumulate(sizes)
        return {
            i: flat[end - size : end].reshape(shape)
            for (i, shape), size, end in zip(self.members.items(), sizes, ends, strict=True)
        }


def _describe(content: bytes) -> tuple[dict[str, Any], int]:
    start = len(MAGIC) + 8
    if not content.startswith(MAGIC) or len(content) < start + 4:
        raise DataError("this is no packed model", todo="Packed models are written by export with format packed")
    if zlib.crc32(content[:-4]) != struct.unpack("<I", content[-4:])[0]:
        raise DataError("the packed file is damaged: its checksum does not fit")
    length, unpacked = struct.unpack("<II", content[len(MAGIC) : start])
    if unpacked > _MOST_JSON:
        raise DataError("the packed file's description is unreasonably long")
    try:
        text = zlib.decompressobj(-15, zdict=_DICTIONARY).decompress(content[start : start + length], unpacked + 1)
    except zlib.error as error:
        raise DataError(f"the packed file's description is damaged ({error})") from error
    described: dict[str, Any] = json.loads(text)
    return described, start + length


def _dtype(name: str) -> np.dtype[Any]:
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name, name))


def _fill(model: keras.Model, groups: list[_Group], content: bytes, at: int) -> None:
    weights = list(model.weights)
    shapes = {i: shape for group in groups for i, shape in group.members.items()}
    if len(weights) != len(shapes):
        raise DataError(f"the file has {len(shapes)} weights, its architecture {len(weights)}")
    for i, weight in enumerate(weights):
        if shapes.get(i) != tuple(weight.shape):
            raise DataError(f"the weight {weight.path} does not fit its architecture")
    for group in groups:
        for i, array in group.arrays(content, at).items():
            weights[i].assign(array)
        at += sum(size for _, _, size in group.streams)
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if hasattr(layer, "finalize_state"):  # Normalization computes from its weights what it uses
            layer.finalize_state()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
