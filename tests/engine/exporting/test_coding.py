"""Coding of arrays: bit by bit, and as small as the entropy says."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DataError
from engine.exporting.coding import (
    DENSE,
    EMPTY,
    GAPS,
    LZMA,
    MASK,
    Coded,
    Placed,
    Stream,
    decode,
    encode,
    entropy,
    expand,
    ideal_size,
    squeeze,
)

TYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int8, np.int32, np.uint8, np.int64, np.bool_]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(TYPES),
    st.lists(st.integers(0, 9), min_size=0, max_size=3),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_every_array_comes_back_bit_by_bit(dtype, shape, density, seed):
    rng = np.random.default_rng(seed)
    array = (rng.standard_normal(shape) * 50).astype(dtype)
    array = np.where(rng.random(shape) < density, array, np.zeros_like(array)).astype(dtype)
    (again,) = decode(encode(array), [array.shape], array.dtype)
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert again.tobytes() == array.tobytes()


def test_negative_zeros_and_nans_with_their_payload_are_values():
    array = np.array([0x80000000, 0x7FC12345, 0xFFC00001, 0x7F800000, 0, 1], "u4").view("f4")
    assert decode(encode(array), [(6,)], np.dtype("f4"))[0].tobytes() == array.tobytes()


def test_long_gaps():
    array = np.zeros(100_000, "f4")
    array[[0, 255, 256, 511, 70_000, 99_999]] = [1, 2, 3, 4, 5, 6]
    coded = encode(array)
    assert coded.placed[0].kept == 6
    assert coded.size < 120
    np.testing.assert_array_equal(decode(coded, [array.shape], array.dtype)[0], array)


def test_an_array_of_zeros_is_nearly_free():
    coded = encode(np.zeros((500, 500), "f4"))
    assert coded.size == 0
    assert not decode(coded, [(500, 500)], np.dtype("f4"))[0].any()


def test_entropy_by_hand():
    assert entropy(np.array([0, 0, 1, 1], "u1")) == pytest.approx(4.0)
    assert entropy(np.zeros(9, "u1")) == 0
    # Half of 8 entries kept, all values alike: 8 bits of positions, none of values.
    assert ideal_size(np.array([0, 0, 0, 0, 3, 3, 3, 3], "u1")) == pytest.approx(1.0)


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.98])
def test_within_a_twentieth_of_the_entropy(sparsity):
    rng = np.random.default_rng(1)
    array = (rng.standard_normal((500, 300)) * 0.05).astype("f4")
    array[np.abs(array) < np.quantile(np.abs(array), sparsity)] = 0
    assert encode(array).size <= 1.05 * ideal_size(array)


def test_a_structure_is_seen():
    # Whole columns gone: far below what independent positions would need.
    array = np.random.default_rng(2).standard_normal((256, 64)).astype("f4")
    array[:, 16:] = 0
    coded = encode(array)
    positions = 256 * 64 * -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75)) / 8
    assert coded.placed[0].stream is not None
    assert len(coded.placed[0].stream.content) < positions / 10


def test_a_stream_never_grows_beyond_what_is_asked():
    bomb = squeeze(bytes(10_000_000))
    assert bomb.coder == LZMA
    assert len(bomb.content) < 5000
    with pytest.raises(DataError, match="101 bytes where 100 are due"):
        expand(bomb, 100)


def test_arrays_share_their_planes():
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal((8, 4)), np.zeros((5,)), rng.standard_normal(7) * (rng.random(7) < 0.3), np.ones(())]
    arrays = [a.astype("f4") for a in arrays]
    coded = encode(*arrays)
    assert len(coded.planes) == 4
    for again, array in zip(decode(coded, [a.shape for a in arrays], np.dtype("f4")), arrays, strict=True):
        np.testing.assert_array_equal(again, array)


def stored(raw: bytes) -> Stream:
    return Stream(0, len(raw), raw)


@pytest.mark.parametrize(
    "coded",
    [
        Coded((Placed(DENSE, 5),), (stored(b"12345"),)),
        Coded((Placed(DENSE, 4),), (stored(b"1234"), stored(b"1234"))),
        Coded((Placed(DENSE, 4, stored(b"")),), (stored(b"1234"),)),
        Coded((Placed(EMPTY, 1),), (stored(b"1"),)),
        Coded((Placed(9, 1, stored(b"1")),), (stored(b"1"),)),
        Coded((Placed(GAPS, 1, None),), (stored(b"1"),)),
        Coded((Placed(GAPS, 1, stored(b"\x09")),), (stored(b"1"),)),
        Coded((Placed(GAPS, 1, stored(bytes(900))),), (stored(b"1"),)),
        Coded((Placed(MASK, 1, stored(b"\xff")),), (stored(b"1"),)),
        Coded((Placed(DENSE, 4),), (Stream(2, 4, b"not lzma"),)),
    ],
)
def test_streams_that_do_not_fit_are_refused(coded):
    with pytest.raises(DataError):
        decode(coded, [(2, 2)], np.dtype("u1"))
