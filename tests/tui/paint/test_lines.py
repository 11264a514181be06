from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.paint import lines

words = st.text(max_size=40)


@settings(deadline=None, max_examples=80)
@given(words, st.integers(0, 30))
def test_left_right_and_middle_have_their_width_in_cells(text, width):
    for cut in (lines.left, lines.right, lines.middle):
        assert cell_len(cut(text, width)) == width


@settings(deadline=None, max_examples=60)
@given(words, st.integers(12, 40))
def test_wrapped_text_fits_and_loses_no_word(text, width):
    rows = lines.wrap(text, width, indent=" ")
    assert all(lines.length(row) <= width for row in rows)
    got = "".join(lines.plain(row) for row in rows)
    assert "".join(got.split()) == "".join("".join(map(lines.clean, text.splitlines())).split())


def test_an_escape_sequence_in_a_layers_name_is_made_harmless():
    assert "\x1b" not in lines.left("dense\x1b[31m", 20)
    assert lines.clean("abc") == "abc"
    assert lines.clean("a\u202eb") == "a\ufffdb"


def test_middle_keeps_both_ends():
    assert lines.middle("block_1/conv/kernel", 11) == "blo…/kernel"


def test_spread_gives_way_at_the_start():
    start, end = lines.line("a long beginning"), lines.line("the end")
    assert lines.plain(lines.spread(start, end, 18)) == "a long be… the end"


def test_most_lines():
    assert len(lines.wrap("one two three four five six", 6, most=2)) == 2
