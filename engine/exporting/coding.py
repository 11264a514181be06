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
from typing import Any

import numpy as np

from engine.errors import DataError

Array = np.ndarray[Any, Any]
# No literal contexts: neighbouring bytes of a plane know nothing of each other.
_LZMA: list[dict[str, int]] = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0}]
STORED, HUFFMAN, LZMA = 0, 1, 2
DENSE, MASK, MASK_BY_COLUMN, GAPS, GAPS_BY_COLUMN = range(5)
_ESCAPE = 255


@dataclasses.dataclass(frozen=True)
class Stream:
    """Coded bytes, the coder that made them, and how many bytes come out again."""

    coder: int
    raw: int
    content: bytes


@dataclasses.dataclass(frozen=True)
class Coded:
    """A coded array.

    Attributes:
        positions: how the non-zeros are told (DENSE: every entry is a value).
        kept: how many values there are.
        streams: the positions' stream (unless DENSE), then one for each byte plane, lowest byte first.
    """

    positions: int
    kept: int
    streams: tuple[Stream, ...]

    @property
    def size(self) -> int:
        """Bytes of all streams."""
        return sum(len(s.content) for s in self.streams)


def encode(array: Array) -> Coded:
    """Codes an array of numbers or bools; its shape and type are for the caller to remember."""
    bits = _bits(array)
    flat = bits.reshape(-1)
    kept = flat != 0
    count = int(np.count_nonzero(kept))
    best: tuple[int, tuple[Stream, ...]] = (DENSE, ())
    if count < flat.size:
        matrix = kept.reshape(-1, array.shape[-1]) if array.ndim > 1 else kept.reshape(1, -1)
        found = [(how, squeeze(raw)) for how, raw in _position_codes(matrix)]
        how, stream = min(found, key=lambda pair: len(pair[1].content))
        best = (how, (stream,))
    dense = _planes(flat)
    if best[0] == DENSE:
        return Coded(DENSE, flat.size, dense)
    planes = _planes(flat[kept])
    sparse = Coded(best[0], count, (*best[1], *planes))
    # A few zeros among many values cost less as values than as positions.
    whole = Coded(DENSE, flat.size, dense)
    return sparse if sparse.size <= whole.size else whole


def decode(coded: Coded, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The array again.

    Raises:
        DataError: when the streams do not fit the shape.
    """
    size = math.prod(shape)
    planes = np.empty((coded.kept, dtype.itemsize), "u1")
    streams = coded.streams if coded.positions == DENSE else coded.streams[1:]
    if len(streams) != dtype.itemsize or coded.kept > size or (coded.positions == DENSE and coded.kept != size):
        raise DataError("a packed array does not fit its shape")
    for i, stream in enumerate(streams):
        planes[:, i] = np.frombuffer(expand(stream, coded.kept), "u1")
    values = planes.reshape(-1).view(f"<u{dtype.itemsize}")
    if coded.positions != DENSE:
        kept = _positions(coded, shape, size)
        if int(np.count_nonzero(kept)) != coded.kept:
            raise DataError("a packed array's positions and values do not fit")
        whole = np.zeros(size, values.dtype)
        whole[kept] = values
        values = whole
    return values.astype(f"=u{dtype.itemsize}", copy=False).view(dtype).reshape(shape)


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


def _planes(values: Array) -> tuple[Stream, ...]:
    return tuple(squeeze(plane.tobytes()) for plane in _split(values))


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


def _positions(coded: Coded, shape: tuple[int, ...], size: int) -> Array:
    stream = coded.streams[0]
    columns = shape[-1] if len(shape) > 1 else size
    if coded.positions in (MASK, MASK_BY_COLUMN):
        kept = np.unpackbits(np.frombuffer(expand(stream, -(-size // 8)), "u1"), count=size).astype(bool)
    elif coded.positions in (GAPS, GAPS_BY_COLUMN):
        # As many escapes as fit into the array, and a gap for each value.
        if stream.raw > coded.kept + size // _ESCAPE:
            raise DataError("a packed array's positions do not fit its shape")
        gaps = np.frombuffer(expand(stream, stream.raw), "u1")
        where = np.cumsum(np.where(gaps == _ESCAPE, _ESCAPE, gaps.astype("i8") + 1)) - 1
        where = where[gaps != _ESCAPE]
        if where.size and where[-1] >= size:
            raise DataError("a packed array's positions do not fit its shape")
        kept = np.zeros(size, bool)
        kept[where] = True
    else:
        raise DataError(f"a packed array tells its positions in an unknown way ({coded.positions})")
    if coded.positions in (MASK_BY_COLUMN, GAPS_BY_COLUMN):
        kept = np.ascontiguousarray(kept.reshape(columns, -1).T).reshape(-1)
    return kept
