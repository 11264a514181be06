from __future__ import annotations

import numpy as np

from engine.layout import LAST
from engine.running.histograms import BINS, spread


def test_what_is_gone_is_not_counted_and_both_sides_share_their_edges() -> None:
    before = np.array([[3.0, 1.0], [4.0, 0.5]])
    after = np.array([[3.0, 0.0], [4.0, 0.0]])
    found = spread(before, after, LAST)
    assert sum(found["weights"]["before"]) == 4
    assert sum(found["weights"]["after"]) == 2
    assert len(found["weights"]["edges"]) == BINS + 1
    assert sum(found["column norms"]["before"]) == 2
    assert sum(found["column norms"]["after"]) == 1
    assert found["column norms"]["after"][-1] == 1  # the column (3, 4) has norm 5, the largest
    assert found["column norms"]["edges"][-1] == 5.0


def test_a_constant_and_an_infinite_kernel_have_histograms_too() -> None:
    assert sum(spread(np.ones((2, 2)), np.ones((2, 2)), LAST)["weights"]["after"]) == 4
    assert sum(spread(np.full((2, 2), np.inf), np.ones((2, 2)), LAST)["weights"]["before"]) == 0
