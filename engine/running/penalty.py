"""What a criterion adds to the loss while the network is trained: network slimming's penalty on BatchNorm scales."""

from __future__ import annotations

from typing import Any

from engine.recipe import Recipe
from engine.registry import make
from engine.running.context import Run
from engine.running.feeding import Extra


def training_term(run: Run) -> Extra | None:
    """The criterion's own term, the same object while the run's model stays; None where it has none."""
    if penalised(run.recipe) is None:
        return None
    if run.term is None or run.term[0] is not run.model:
        prune, model = run.recipe.prune, run.model
        assert prune is not None
        criterion = make("criterion", prune.criterion.name, prune.criterion.params)

        def term(_x: Any, _y: Any, _outputs: Any) -> Any:
            return criterion.training_term(model)

        run.term = (model, term)
    found: Extra = run.term[1]
    return found


def penalised(recipe: Recipe) -> float | None:
    """The penalty that training adds, part of what makes a dense model; None without one."""
    if recipe.prune is None or recipe.prune.criterion.name != "bn_scale":
        return None
    return float(recipe.prune.criterion.get("penalty")) or None
