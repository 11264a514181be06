"""Pages and plots, read back by parsers."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.reporting.blocks import Code, Heading, Plot, Series, Table, Words
from engine.reporting.numbers import bytes_of, count, milliseconds, number, ratio, share
from engine.reporting.pages import html, markdown
from engine.reporting.plots import svg, tick_label, ticks

EVIL = '<script>alert("x")</script>|*_`'
BLOCKS = [
    Heading(EVIL, 1),
    Words(EVIL),
    Words("careful", warning=True),
    Table(("a", EVIL), (("row|1", "2"),), EVIL),
    Code(f"key: 1\n```\n{EVIL}"),
    Plot(EVIL, "x", "y", (Series(EVIL, ((0.0, 1.0), (1.0, 3.0))), Series("two", ((0.5, 2.0),), dashed=True))),
]


class Reader(HTMLParser):
    """Tags in the page, and whether each that was opened is closed."""

    VOID = ("meta", "line", "circle", "rect", "polyline", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.urls: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.urls += [v for k, v in attrs if k in ("src", "href") and v]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_is_whole_and_needs_nothing_from_outside():
    page = html(EVIL, BLOCKS)
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    assert reader.urls == []
    assert "script" not in reader.tags
    assert {"h1", "table", "pre", "svg", "polyline", "circle"} <= set(reader.tags)
    assert "Content-Security-Policy" in page
    assert "&lt;script&gt;" in page


def test_markdown_keeps_its_tables():
    text = markdown(BLOCKS)
    assert "<script>" not in text.split("````")[0]
    assert "| row\\|1 | 2 |" in text
    assert "````\nkey: 1" in text  # a longer fence than the one inside
    assert "**Warning:** careful" in text
    assert "svg" not in text


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.tuples(st.floats(-1e9, 1e9, allow_nan=False), st.floats(-1e9, 1e9, allow_nan=False)), min_size=1, max_size=9
    )
)
def test_every_point_lies_within_the_picture(points):
    picture = ET.fromstring(svg(Plot("t", "x", "y", (Series("s", tuple(points)),))))
    circles = [e for e in picture.iter() if e.get("class") == "mark"]
    assert len(circles) == len(points)
    for circle in circles:
        assert 57 <= float(circle.get("cx")) <= 547
        assert 33 <= float(circle.get("cy")) <= 255


def test_a_plot_without_points_is_nothing():
    assert svg(Plot("t", "x", "y", (Series("s", ()),))) == ""


def test_ticks_are_round():
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(0.013, 0.97) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(3, 47) == [0, 10, 20, 30, 40, 50]
    assert ticks(5, 5)[0] <= 5 <= ticks(5, 5)[-1]
    assert tick_label(0.2, [0, 0.2], percent=True) == "20 %"
    assert tick_label(0.25, [0, 0.05]) == "0.25"
    assert tick_label(1500, [1000, 1500]) == "1,500"


@pytest.mark.parametrize(
    ("form", "value", "said"),
    [
        (number, 0.97531, "0.9753"),
        (number, "nan", "nan"),
        (number, None, "-"),
        (count, 123456.0, "123,456"),
        (share, 0.12345, "12.35 %"),
        (ratio, 0.5, "0.50x"),
        (milliseconds, 0.12345, "0.123"),
        (bytes_of, 999, "999 B"),
        (bytes_of, 1500, "1.5 kB"),
        (bytes_of, 2_500_000, "2.5 MB"),
        (bytes_of, 7e9, "7.0 GB"),
        (share, "inf", "inf"),
        (milliseconds, float("-inf"), "-inf"),
        (count, True, "-"),
    ],
)
def test_numbers_in_words(form, value, said):
    assert form(value) == said
