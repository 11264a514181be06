from __future__ import annotations

import pytest

from engine import catalog
from engine.errors import UnknownName
from engine.models.learning_rates import COURSES, course


def test_the_catalog_and_the_code_name_the_same() -> None:
    assert set(catalog.entries("learning_rate")) == set(COURSES)


@pytest.mark.parametrize(
    ("name", "params", "points"),
    [
        ("constant", {}, {0.0: 2.0, 1.0: 2.0}),
        ("cosine", {}, {0.0: 2.0, 0.5: 1.0, 1.0: 0.0}),
        ("cosine", {"final": 0.5}, {0.0: 2.0, 0.5: 1.5, 1.0: 1.0}),
        ("linear", {"final": 0.1}, {0.0: 2.0, 0.5: 1.1, 1.0: 0.2}),
        ("step", {}, {0.49: 2.0, 0.5: 0.2, 0.75: 0.02, 1.0: 0.02}),
        ("exponential", {"final": 0.01}, {0.0: 2.0, 0.5: 0.2, 1.0: 0.02}),
        ("linear", {"warmup": 0.5}, {0.0: 0.02, 0.25: 1.01, 0.5: 2.0, 0.75: 1.0, 1.0: 0.0}),
    ],
)
def test_points_by_hand(name: str, params: dict[str, float], points: dict[float, float]) -> None:
    rate = course(name, params, base=2.0)
    for share, value in points.items():
        assert rate(share) == pytest.approx(value, abs=1e-12)


def test_unknown_courses_are_said() -> None:
    with pytest.raises(UnknownName, match="cosine"):
        course("cosin")
