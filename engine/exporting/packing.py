r"""The packed format: one file with an architecture and all its weights, bit by bit, close to their entropy.

    magic      8 bytes   "\x89PRUNE1\n"
    sizes      8 bytes   length of the description in the file and unpacked, little-endian u32 each
    description          JSON, deflated with a preset dictionary: Keras' configuration, and the groups of weights
    streams              one after the other
    check      4 bytes   CRC-32 of all before

Every bit is kept, the sign of a zero and the payload of a NaN included. Many negative zeros are what a product with a
mask left of negative weights (the engine's own masks leave none); their signs cost bytes, so `Packed` counts them.

A group is `[type, arrays, planes]`: each array `[number, positions, kept, shape, stream]`, each stream `[coder, bytes
raw, bytes coded]`. The arrays of a group share the byte planes of their values: all of one type where each stream's own
cost is felt, else only the small ones. There is no code in the file and no pickle: the architecture is read by Keras in
its safe mode. Compilation and optimizer state are left behind.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import DataError, ModelError
from engine.exporting.coding import Coded, Placed, Stream, decode, encode, ideal_size, place
from engine.files import write_atomically

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
MAGIC = b"\x89PRUNE1\n"
SMALL = 512
"""Arrays below this many entries share a group: a stream of their own would cost more than it saves."""
_LARGE = 1 << 20
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
        negative_zeros: how many zeros carry a sign, which costs bytes and mostly means nothing.
    """

    content: bytes
    ideal: float
    negative_zeros: int


def pack(model: keras.Model) -> Packed:
    """The model as a packed file's bytes.

    Raises:
        ModelError: when the model holds state that is no weight (a vocabulary), or cannot say its configuration.
    """
    config = _config(model)
    arrays = [np.asarray(w.numpy()) for w in model.weights]
    places = [place(a) for a in arrays]
    groups: list[Any] = []
    content: list[bytes] = []
    for members in _grouped(arrays, places):
        coded = encode(*(arrays[i] for i in members), placed=[places[i] for i in members])
        rows = [
            [i, p.positions, p.kept, list(arrays[i].shape), _numbers(p.stream)]
            for i, p in zip(members, coded.placed, strict=True)
        ]
        groups.append([arrays[members[0]].dtype.name, rows, [_numbers(stream) for stream in coded.planes]])
        content += [stream.content for stream in coded.streams]
    text = json.dumps({"config": config, "groups": groups}, separators=(",", ":")).encode()
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=_DICTIONARY)
    description = squeezed.compress(text) + squeezed.flush()
    body = b"".join([MAGIC, struct.pack("<II", len(description), len(text)), description, *content])
    negative = sum(map(_negative_zeros, arrays))
    return Packed(body + struct.pack("<I", zlib.crc32(body)), sum(_ideals(arrays)), negative)


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
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, struct.error) as error:
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


def _negative_zeros(array: Array) -> int:
    real = np.issubdtype(array.dtype, np.floating) or array.dtype.kind == "V"
    if not real:
        return 0
    bits = np.ascontiguousarray(array).view(f"u{array.itemsize}")  # comparing numbers of 16 bits warns of each NaN
    return int(np.count_nonzero(bits == 1 << (8 * array.itemsize - 1)))


def _ideals(arrays: list[Array]) -> Iterator[float]:
    # Arrays that are too small for statistics of their own are judged together, by type.
    small: dict[str, list[Array]] = {}
    for array in arrays:
        if array.size >= SMALL:
            yield ideal_size(array)
        else:
            small.setdefault(array.dtype.name, []).append(array.reshape(-1))
    for members in small.values():
        yield ideal_size(np.concatenate(members))


def _grouped(arrays: list[Array], places: list[Placed]) -> list[list[int]]:
    apart: list[list[int]] = []
    small: dict[str, list[int]] = {}
    together: dict[str, list[int]] = {}
    for i, array in enumerate(arrays):
        together.setdefault(array.dtype.name, []).append(i)
        if array.size >= SMALL:
            apart.append([i])
        else:
            small.setdefault(array.dtype.name, []).append(i)
    apart += small.values()
    if len(apart) == len(together) or sum(p.kept for p in places) > _LARGE:
        return apart

    def size(groups: list[list[int]]) -> int:
        coded = (encode(*(arrays[i] for i in g), placed=[places[i] for i in g]) for g in groups)
        return sum(c.size + 3 * len(c.planes) for c in coded)  # some three bytes describe a stream

    joined = list(together.values())
    return min(apart, joined, key=size)


def _numbers(stream: Stream | None) -> list[int]:
    return [] if stream is None else [stream.coder, stream.raw, len(stream.content)]


class _Group:
    """One group of the description; nothing in it has been believed yet."""

    def __init__(self, plain: list[Any]) -> None:
        name, rows, planes = plain
        self.dtype = _dtype(str(name))
        self.shapes = {int(row[0]): tuple(int(n) for n in row[3]) for row in rows}
        self.rows = [(int(row[1]), int(row[2]), self._stream(row[4])) for row in rows]
        self.planes = [self._stream(plane) for plane in planes]
        if any(kept < 0 for _, kept, _ in self.rows) or None in self.planes or len(self.shapes) != len(rows):
            raise ValueError("a group of weights that cannot be")

    @staticmethod
    def _stream(plain: list[Any]) -> tuple[int, int, int] | None:
        if not plain:
            return None
        coder, raw, size = (int(n) for n in plain)
        if min(coder, raw, size) < 0:
            raise ValueError("a negative size")
        return coder, raw, size

    @property
    def length(self) -> int:
        """Bytes of all its streams."""
        return sum(s[2] for s in (*(row[2] for row in self.rows), *self.planes) if s is not None)

    def arrays(self, content: bytes, at: int) -> dict[int, Array]:
        """The group's weights, its streams beginning at this byte of the file."""

        def take(numbers: tuple[int, int, int] | None) -> Stream | None:
            nonlocal at
            if numbers is None:
                return None
            coder, raw, size = numbers
            at += size
            return Stream(coder, raw, content[at - size : at])

        placed = tuple(Placed(how, kept, take(stream)) for how, kept, stream in self.rows)
        planes = tuple(stream for stream in map(take, self.planes) if stream is not None)
        return dict(
            zip(self.shapes, decode(Coded(placed, planes), list(self.shapes.values()), self.dtype), strict=True)
        )


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

    found = np.dtype(getattr(ml_dtypes, name, name))
    if found.name != name or found.hasobject:
        raise ValueError("weights of an unknown type")
    return found


def _fill(model: keras.Model, groups: list[_Group], content: bytes, at: int) -> None:
    weights = list(model.weights)
    shapes = {i: shape for group in groups for i, shape in group.shapes.items()}
    if len(weights) != len(shapes):
        raise DataError(f"the file has {len(shapes)} weights, its architecture {len(weights)}")
    types = {i: group.dtype for group in groups for i in group.shapes}
    for i, weight in enumerate(weights):
        if shapes.get(i) != tuple(weight.shape) or types[i] != np.asarray(weight.numpy()).dtype:
            raise DataError(f"the weight {weight.path} does not fit its architecture")
    for group in groups:
        for i, array in group.arrays(content, at).items():
            weights[i].assign(array)
        at += group.length
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if hasattr(layer, "finalize_state"):  # Normalization computes from its weights what it uses
            layer.finalize_state()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
