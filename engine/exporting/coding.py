"""Arrays as few bytes, and back bit by bit: where the non-zeros are, then their values in byte planes.

Zero means all bits zero: a negative zero is a value and is kept. Positions are written as a bitmask or as the gaps
between non-zeros, along the rows or along the columns, and each stream goes through the coder of the standard library
that makes it smallest: none (mantissas are noise), Huffman codes alone (zlib), or LZMA.
"""

from __future__ import annotations

import dataclasses
import lzma
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.errors import DataError

Array = np.ndarray[Any, Any]
# No literal contexts: neighbouring bytes of a plane know nothing of each other.
_LZMA: list[dict[str, int]] = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0}]
STORED, HUFFMAN, LZMA = 0, 1, 2
DENSE, MASK, MASK_BY_COLUMN, GAPS, GAPS_BY_COLUMN, EMPTY = range(6)
_ESCAPE = 255


@dataclasses.dataclass(frozen=True)
class Stream:
    """Coded bytes, the coder that made them, and how many bytes come out again."""

    coder: int
    raw: int
    content: bytes


@dataclasses.dataclass(frozen=True)
class Placed:
    """Where an array's non-zeros are.

    Attributes:
        positions: how they are told; DENSE: every entry counts as a value.
        kept: how many values there are; with none there is no stream either.
        stream: the positions, or None.
    """

    positions: int
    kept: int
    stream: Stream | None = None


@dataclasses.dataclass(frozen=True)
class Coded:
    """Arrays of one type, coded together: each has its positions, and all their values share the byte planes.

    Attributes:
        placed: the positions, array by array.
        planes: a stream for each byte of the type, lowest byte first.
    """

    placed: tuple[Placed, ...]
    planes: tuple[Stream, ...]

    @property
    def size(self) -> int:
        """Bytes of all streams."""
        return sum(len(s.content) for s in self.streams)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All streams, the positions first."""
        return (*(p.stream for p in self.placed if p.stream is not None), *self.planes)


def place(array: Array) -> Placed:
    """Positions of an array's non-zeros, in the way that takes the fewest bytes."""
    kept = _bits(array).reshape(-1) != 0
    count = int(np.count_nonzero(kept))
    if count in (0, kept.size):
        return Placed(DENSE if count else EMPTY, count)
    matrix = kept.reshape(-1, array.shape[-1]) if array.ndim > 1 else kept.reshape(1, -1)
    how, stream = min(
        ((how, squeeze(raw)) for how, raw in _position_codes(matrix)), key=lambda pair: len(pair[1].content)
    )
    # A few zeros among many values cost less as values than as positions: about 0.4 of their bytes, as zeros repeat.
    if len(stream.content) > 0.4 * (kept.size - count) * array.dtype.itemsize:
        return Placed(DENSE, kept.size)
    return Placed(how, count, stream)


def encode(*arrays: Array, placed: Sequence[Placed] | None = None) -> Coded:
    """Codes arrays of one type of numbers or bools; shapes and type are for the caller to remember.

    Args:
        arrays: the arrays.
        placed: what `place` gave for them, where it is known already.
    """
    places = tuple(placed) if placed is not None else tuple(place(a) for a in arrays)
    values = [
        flat if p.positions == DENSE else flat[flat != 0]
        for p, flat in zip(places, (_bits(a).reshape(-1) for a in arrays), strict=True)
    ]
    return Coded(places, tuple(squeeze(plane.tobytes()) for plane in _split(np.concatenate(values))))


def decode(coded: Coded, shapes: Sequence[tuple[int, ...]], dtype: np.dtype[Any]) -> list[Array]:
    """The arrays again.

    Raises:
        DataError: when the streams do not fit the shapes.
    """
    sizes = [math.prod(shape) for shape in shapes]
    for p, size in zip(coded.placed, sizes, strict=True):
        whole = {DENSE: size, EMPTY: 0}.get(p.positions)
        if p.kept > size or (whole is not None and p.kept != whole) or (whole is None) == (p.stream is None):
            raise DataError("a packed array does not fit its shape")
    if len(coded.planes) != dtype.itemsize:
        raise DataError("a packed array does not fit its type")
    total = sum(p.kept for p in coded.placed)
    planes = np.empty((total, dtype.itemsize), "u1")
    for i, stream in enumerate(coded.planes):
        planes[:, i] = np.frombuffer(expand(stream, total), "u1")
    values = planes.reshape(-1).view(f"<u{dtype.itemsize}").astype(f"=u{dtype.itemsize}", copy=False)
    made, at = [], 0
    for p, shape, size in zip(coded.placed, shapes, sizes, strict=True):
        part = values[at : at + p.kept]
        at += p.kept
        if p.positions != DENSE:
            whole_array = np.zeros(size, values.dtype)
            if p.stream is not None:
                whole_array[_positions(p.positions, p.kept, p.stream, shape, size)] = part
            part = whole_array
        made.append(part.view(dtype).reshape(shape))
    return made


def coded_size(array: Array) -> int:
    """Bytes that the coded form of one array takes."""
    return encode(array).size


def ideal_size(array: Array) -> float:
    """The bytes to beat: `n H(density)` for the positions and the order-0 entropies of the values' byte planes."""
    flat = _bits(array).reshape(-1)
    values = flat[flat != 0]
    bits = sum(entropy(plane) for plane in _split(values))
    density = values.size / flat.size if flat.size else 0.0
    if 0 < density < 1:
        bits -= flat.size * (density * math.log2(density) + (1 - density) * math.log2(1 - density))
    return bits / 8


def entropy(plane: Array) -> float:
    """Order-0 entropy of bytes, in bits for all of them together."""
    counts = np.bincount(plane.reshape(-1), minlength=256)
    counts = counts[counts > 0]
    return float(-(counts * np.log2(counts / counts.sum())).sum())


def squeeze(raw: bytes) -> Stream:
    """The bytes through the coder that makes them smallest."""
    best = Stream(STORED, len(raw), raw)
    # Trying to squeeze noise costs seconds on a large model and gains nothing.
    if len(raw) < 8 or entropy(np.frombuffer(raw, "u1")) > 7.97 * len(raw):
        return best
    huffman = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
    tried = (
        Stream(HUFFMAN, len(raw), huffman.compress(raw) + huffman.flush()),
        Stream(LZMA, len(raw), lzma.compress(raw, format=lzma.FORMAT_RAW, filters=_LZMA)),
    )
    return min((best, *tried), key=lambda s: len(s.content))


def expand(stream: Stream, size: int) -> bytes:
    """The bytes of a stream; never more than asked for, whatever the stream says.

    Raises:
        DataError: when it holds another number of bytes, or cannot be read.
    """
    try:
        if stream.coder == HUFFMAN:
            raw = zlib.decompressobj(-15).decompress(stream.content, size + 1)
        elif stream.coder == LZMA:
            raw = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_LZMA).decompress(stream.content, size + 1)
        else:
            raw = stream.content
    except (zlib.error, lzma.LZMAError) as error:
        raise DataError(f"a packed stream is damaged ({error})") from error
    if len(raw) != size:
        raise DataError(f"a packed stream holds {len(raw)} bytes where {size} are due")
    return raw


def _bits(array: Array) -> Array:
    array = np.ascontiguousarray(array)
    return array.view(f"u{array.dtype.itemsize}") if array.ndim else array.reshape(1).view(f"u{array.dtype.itemsize}")


def _split(values: Array) -> list[Array]:
    width = values.dtype.itemsize
    little = values.astype(f"<u{width}", copy=False).view("u1").reshape(-1, width)
    return [np.ascontiguousarray(little[:, i]) for i in range(width)]


def _position_codes(kept: Array) -> list[tuple[int, bytes]]:
    across = np.ascontiguousarray(kept.T)
    return [
        (MASK, np.packbits(kept).tobytes()),
        (MASK_BY_COLUMN, np.packbits(across).tobytes()),
        (GAPS, _gaps(kept)),
        (GAPS_BY_COLUMN, _gaps(across)),
    ]


def _gaps(kept: Array) -> bytes:
    # The number of zeros before each value; 255 stands for 255 zeros and no value.
    gaps = np.diff(np.flatnonzero(kept), prepend=-1) - 1
    escapes = gaps // _ESCAPE
    coded = np.full(gaps.size + int(escapes.sum()), _ESCAPE, "u1")
    coded[np.cumsum(escapes + 1) - 1] = gaps % _ESCAPE
    return coded.tobytes()


def _positions(how: int, count: int, stream: Stream, shape: tuple[int, ...], size: int) -> Array:
    columns = shape[-1] if len(shape) > 1 else size
    if how in (MASK, MASK_BY_COLUMN):
        kept = np.unpackbits(np.frombuffer(expand(stream, -(-size // 8)), "u1"), count=size).astype(bool)
    elif how in (GAPS, GAPS_BY_COLUMN):
        # As many escapes as fit into the array, and a gap for each value.
        if stream.raw > count + size // _ESCAPE:
            raise DataError("a packed array's positions do not fit its shape")
        gaps = np.frombuffer(expand(stream, stream.raw), "u1")
        where = np.cumsum(np.where(gaps == _ESCAPE, _ESCAPE, gaps.astype("i8") + 1)) - 1
        where = where[gaps != _ESCAPE]
        if where.size and where[-1] >= size:
            raise DataError("a packed array's positions do not fit its shape")
        kept = np.zeros(size, bool)
        kept[where] = True
    else:
        raise DataError(f"a packed array tells its positions in an unknown way ({how})")
    if how in (MASK_BY_COLUMN, GAPS_BY_COLUMN):
        kept = np.ascontiguousarray(kept.reshape(columns, -1).T).reshape(-1)
    if int(np.count_nonzero(kept)) != count:
        raise DataError("a packed array's positions and values do not fit")
    return kept
