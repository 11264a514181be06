import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.paint import marks
from tui.paint.lines import length, plain

numbers = st.floats(allow_nan=True, allow_infinity=True)


@settings(deadline=None, max_examples=60)
@given(st.lists(numbers, max_size=50), st.integers(1, 40), st.integers(1, 4))
def test_a_sparkline_has_its_size_whatever_the_numbers(values, width, rows):
    text = marks.spark(values, width, rows=rows)
    assert len(text) == rows
    assert all(len(row) == width for row in text)


def test_the_largest_numbers_that_there_are():
    assert marks.spark([-1.7e308, 1.7e308], 2) == ["▁█"]
    assert marks.spark([1.7e308] * 4, 2) == ["▄▄"]


def test_a_rising_series_rises():
    assert marks.spark([0, 1, 2, 3, 4, 5, 6, 7], 8) == ["▁▂▃▄▅▆▇█"]


def test_a_constant_series_is_seen():
    assert marks.spark([0.5, 0.5, 0.5], 3) == ["▄▄▄"]


def test_what_is_not_finite_is_a_gap():
    assert marks.spark([0, math.nan, 7], 3) == ["▁·█"]


def test_two_rows_have_sixteen_steps():
    assert marks.spark([0, 15], 2, rows=2) == [" █", "▁█"]


def test_more_values_than_cells_are_averaged():
    assert marks.spark([0, 0, 7, 7], 2) == ["▁█"]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 200), st.integers(1, 40))
def test_the_cursor_stays_on_the_chart(count, width):
    places = [marks.place(i, count, width) for i in range(count)]
    assert places == sorted(places)
    assert 0 <= places[0] <= places[-1] < width


@pytest.mark.parametrize(("value", "full"), [(0.0, 0), (0.001, 1), (0.5, 5), (1.0, 10), (2.0, 10), (None, 0)])
def test_a_bar_fills_its_width(value, full):
    of = marks.bar(value, 10)
    assert plain(of).count("█") == full
    assert length(of) == 10


def test_smoothing_has_no_bias_towards_the_start():
    assert marks.smooth([2.0, 2.0, 2.0], 0.9) == pytest.approx([2.0, 2.0, 2.0])
    assert marks.smooth([0.0, 1.0], 0.5) == pytest.approx([0.0, 2 / 3])
    assert math.isnan(marks.smooth([1.0, math.nan], 0.5)[1])


@settings(deadline=None, max_examples=40)
@given(st.text("0123456789.,%x-– kMB", max_size=8))
def test_tall_digits_are_three_lines_of_one_width(text):
    rows = marks.tall(text)
    assert len({len(row) for row in rows}) == 1


def test_a_tall_comma_hangs_below_the_line_where_a_point_stands_on_it():
    assert [row[4:-4] for row in marks.tall("1,1")] == ["  ", "  ", "▄▀"]
    assert [row[4:-4] for row in marks.tall("1.1")] == [" ", " ", "▀"]


def test_a_tall_one_and_zero():
    assert marks.tall("10") == ("▄█  █▀█", " █  █ █", "▀▀▀ ▀▀▀")
