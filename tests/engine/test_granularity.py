from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine.errors import PruneError
from engine.granularity import Block, NofM, Unit, Weight, matrix, parse, unmatrix
from engine.layout import LAST, Layout

TRANSPOSED, DEPTHWISE, GATES = Layout((-2,), -1), Layout((-2, -1), None), Layout((-1,), 0, gates=3)


def test_parse():
    assert parse("weight") == Weight()
    assert parse("unit") == Unit()
    assert parse("block:4x1") == Block(4, 1)
    assert parse("block:2x3", {"pooling": "max"}) == Block(2, 3, "max")
    assert parse("2:4") == NofM(2, 4)
    assert parse("n:m", {"n": 1, "m": 4}) == NofM(1, 4)
    assert parse(Block(4, 1), {"pooling": "max"}).pooling == "max"


@pytest.mark.parametrize("text", ["wieght", "block:0x1", "4:2", "block:4", "3:", "block:2x2x2"])
def test_nonsense_is_said(text):
    with pytest.raises(PruneError):
        parse(text)
    with pytest.raises(PruneError, match="pooling"):
        parse("block:2x2", {"pooling": "median"})


def test_block_average_counts_the_entries_that_exist():
    scores = np.arange(15.0).reshape(5, 3)
    pooled = Block(2, 2).pool(scores, LAST)
    # Windows: {0,1,3,4}, {2,5}, {6,7,9,10}, {8,11}, {12,13}, {14}.
    assert pooled.tolist() == [[2.0, 3.5], [8.0, 9.5], [12.5, 14.0]]
    assert Block(2, 2, "max").pool(-scores, LAST).tolist() == [[0.0, -2.0], [-6.0, -8.0], [-12.0, -14.0]]


def test_block_mask_is_aligned_with_its_windows():
    keep = np.array([[True, False], [False, True], [False, True]])
    mask = Block(2, 2).expand(keep, (5, 3), LAST)
    assert mask.astype(int).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]


def test_block_of_a_convolution_lies_along_its_flattened_inputs():
    # 4x1 on (1, 2, 4, 1): the windows are the two kernel positions, each over its 4 input channels.
    scores = np.zeros((1, 2, 4, 1))
    scores[0, 1] = 1
    masks = engine.choose({"c/kernel": scores}, 0.5, granularity="block:4x1")
    assert np.array_equal(masks["c/kernel"], scores == 1)


def test_two_of_four_by_hand():
    scores = np.array([[4.0, 1], [3, 1], [2, 1], [1, 1], [5, 0], [6, 9]])
    mask = engine.choose({"k": scores}, 0.5, granularity="2:4")["k"]
    # Column 0: 4 and 3; the short group (5, 6) keeps both. Column 1: a tie, so the first two; then both.
    assert mask.astype(int).tolist() == [[1, 1], [1, 1], [0, 0], [0, 0], [1, 1], [1, 1]]
    # 1:4 keeps min(1, 2) of the short group.
    one = engine.choose({"k": scores}, 0.75, granularity="1:4")["k"]
    assert one.astype(int).tolist() == [[1, 1], [0, 0], [0, 0], [0, 0], [0, 0], [1, 1]]


def test_n_of_m_runs_along_input_channels():
    rng = np.random.default_rng(0)
    scores = rng.random((3, 3, 8, 5))
    mask = engine.choose({"k": scores}, 0.5, granularity="2:4")["k"]
    assert (mask.reshape(3, 3, 2, 4, 5).sum(axis=3) == 2).all()
    transposed = engine.choose({"k": scores}, 0.5, granularity="2:4", layouts={"k": TRANSPOSED})["k"]
    assert (transposed[..., :4].sum(axis=-1) == 2).all()
    for group in mask.reshape(3, 3, 2, 4, 5)[0, 0, 1].T:
        assert group.sum() == 2


def test_n_of_m_leaves_depthwise_and_sparsity_zero_whole():
    scores = np.random.default_rng(0).random((3, 3, 8, 1))
    assert engine.choose({"k": scores}, 0.5, granularity="2:4", layouts={"k": DEPTHWISE})["k"].all()
    assert engine.choose({"k": scores}, 0.0, granularity="2:4")["k"].all()
    skipped = engine.choose({"k": scores, "o/kernel": scores}, 0.5, granularity="2:4", skip=["o"])
    assert skipped["o/kernel"].all()
    assert skipped["k"].mean() == 0.5


def test_n_of_m_fixes_the_sparsity():
    scores = {"k": np.random.default_rng(0).random((8, 6))}
    pattern = engine.choose(scores, granularity="2:4")["k"]
    assert pattern.sum() == 24
    assert np.array_equal(engine.choose(scores, 0.5, granularity="2:4")["k"], pattern)
    for close in (0.67, 0.667, 2 / 3):
        assert engine.choose({"k": np.arange(9.0)[:, None]}, close, granularity="1:3")["k"].sum() == 3
    with pytest.raises(PruneError, match=r"2:4 fixes the sparsity at 0\.5, so it cannot be 0\.8"):
        engine.choose(scores, 0.8, granularity="2:4")
    with pytest.raises(PruneError, match=r"cannot be 0\.9"):
        engine.choose(scores, granularity="2:4", per_layer={"k": 0.9})
    with pytest.raises(PruneError, match="not said"):
        engine.choose(scores)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.integers(1, 21), st.integers(0, 100))
def test_on_the_way_to_n_of_m_the_lowest_of_what_it_cuts_go(seed, length, percent):
    scores = np.random.default_rng(seed).random((length, 3))
    pattern = engine.choose({"k": scores}, granularity="2:4")["k"]
    mask = engine.choose({"k": scores}, f"{percent}e-2", granularity="2:4", gradual=True)["k"]
    assert (mask | ~pattern).all()  # what the pattern keeps stays
    cut = min(percent * scores.size // 100, int((~pattern).sum()))
    assert (~mask).sum() == cut
    if cut:
        assert scores[~mask].max() <= scores[mask & ~pattern].min(initial=np.inf)


def test_units_are_summed_over_their_column():
    scores = np.array([[1.0, 5, 0], [2, 0, 1]])
    assert Unit().pool(scores, LAST).tolist() == [3, 5, 1]
    mask = engine.choose({"k": scores}, 0.34, granularity="unit")["k"]
    assert mask.tolist() == [[True, True, False]] * 2
    given = engine.choose({"k": np.array([1.0, 5, 0])}, 0.3, granularity="unit")["k"]
    assert given.tolist() == [True, True, True]
    assert engine.choose({"k": np.array([1.0, 5, 0])}, 0.34, granularity="unit")["k"].tolist() == [True, True, False]


def test_gates_count_as_one_unit():
    scores = np.zeros((2, 6))
    scores[:, [1, 3, 5]] = 1  # unit 1 in all three gates
    mask = engine.choose({"k": scores}, 0.5, granularity="unit", layouts={"k": GATES})["k"]
    assert np.array_equal(mask, scores == 1)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.sampled_from([LAST, TRANSPOSED, Layout((-2, -1), None)]))
def test_matrix_and_back(shape, layout):
    array = np.arange(np.prod(shape)).reshape(shape)
    flat = matrix(array, layout)
    assert np.array_equal(unmatrix(flat, tuple(shape), layout), array)
    if layout is LAST:
        assert np.shares_memory(flat, array)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.floats(0, 1))
def test_every_block_is_kept_or_cut_as_one(rows, cols, r, c, sparsity):
    scores = np.random.default_rng(rows * 10 + cols).random((rows, cols))
    mask = engine.choose({"k": scores}, round(sparsity, 3), granularity=f"block:{r}x{c}")["k"]
    kept = 0
    for i in range(0, rows, r):
        for j in range(0, cols, c):
            window = mask[i : i + r, j : j + c]
            assert window.all() or not window.any()
            kept += bool(window.all())
    blocks = -(-rows // r) * -(-cols // c)
    assert kept == engine_kept(blocks, sparsity)


def engine_kept(total, sparsity):
    from engine.scopes.selecting import kept

    return kept(total, round(sparsity, 3))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(2, 20), st.data())
def test_n_of_m_is_a_stable_sort_of_each_group(length, columns, m, data):
    n = data.draw(st.integers(1, m))
    scores = np.random.default_rng(length).integers(0, 4, (length, columns)).astype(float)
    mask = engine.choose({"k": scores}, granularity=f"{n}:{m}")["k"]
    for start in range(0, length, m):
        for j in range(columns):
            group = scores[start : start + m, j]
            wanted = np.zeros(len(group), bool)
            wanted[np.argsort(-group, kind="stable")[:n]] = True
            assert np.array_equal(mask[start : start + m, j], wanted)
