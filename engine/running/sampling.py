"""Which training examples a criterion scores on."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.running.context import Run

Array = np.ndarray[Any, Any]


def sample(run: Run, criterion: Any, *, seed: int) -> tuple[Array, Array]:
    """The training examples that a criterion asks for: a balanced draw where it counts by class, else a plain one.

    A class with fewer examples gives all it has. Where there are no classes, a count by class is taken ten times.
    """
    rng = np.random.default_rng(seed)
    x, y = run.data.x_train, run.data.y_train
    per_class = getattr(criterion, "per_class", None)
    if per_class and run.data.classes:
        rows = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:per_class] for c in range(run.data.classes)])
    else:
        most = 10 * per_class if per_class else getattr(criterion, "samples", None)
        rows = rng.permutation(len(x))[: most or len(x)]
    return x[rows], y[rows]
