import math

import pytest

from tui.paint import numbers as n


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.784, "78.4 %"),
        (0.0, "0.0 %"),
        (1.0, "100.0 %"),
        (0.99999, "99.9 %"),
        (math.nan, "–"),
        ("inf", "–"),
        (None, "–"),
    ],
)
def test_percent_never_rounds_up_to_all(value, said):
    assert n.percent(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0.9718, ".972"), (1.0, "1.000"), (0.0, ".000"), (12.345, "12.35"), ("nan", "–")]
)
def test_metric(value, said):
    assert n.metric(value) == said


@pytest.mark.parametrize(("value", "said"), [(-0.0061, "-.006"), (0.0139, "+.014"), (0.0002, "±.000"), (None, "–")])
def test_change(value, said):
    assert n.change(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (30_960, "31 kB"), (1_234_567, "1.2 MB")]
)
def test_size(value, said):
    assert n.size(value) == said


@pytest.mark.parametrize(("value", "said"), [(0, "0:00"), (11.2, "0:12"), (3723, "1:02:03"), (math.inf, "–")])
def test_clock(value, said):
    assert n.clock(value) == said


def test_ratio_of_nothing_is_not_said():
    assert n.ratio(205, 31) == "6.6x"
    assert n.ratio(205, 0) == "–"


def test_share_is_said_as_it_was_written():
    assert n.share(0.9) == "90 %"
    assert n.share(0.985) == "98.5 %"
