"""One command for a stranger's model: a recipe that makes it as small, or as quick, as an accuracy budget allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from engine.catalog import entries
from engine.errors import DataError, near
from engine.recipe import Recipe
from engine.recipe_reading import recipe_from
from engine.yaml12 import Document

Aim = Literal["size", "latency", "flops"]


def auto_recipe(
    model: str | Path,
    data: str | Path,
    *,
    max_drop: float = 0.01,
    aim: Aim = "size",
    epochs: int = 3,
    trials: int = 8,
    batch_size: int = 64,
    learning_rate: float = 0.001,
    seed: int = 0,
) -> Recipe:
    """A recipe for a trained model and its data: the smallest model whose validation accuracy drops by at most so much.

    For size single weights go, for latency and FLOPs whole units, which need no sparse arithmetic to be quicker. Shares
    from the layers' sensitivity are tried as well; each trial is fine-tuned (and BatchNorm recalibrated for units).

    Args:
        model: a `.keras` file.
        data: a `.npz` file with `x_train`, `y_train`, `x_test`, `y_test`, or `x` and `y`; a folder of images; or the
            name of a data set of the catalog.
        max_drop: accuracy that may be lost; 0.01 is one point.
        aim: what is to be small.
        epochs: of fine-tuning in each trial.
        trials: sparsities tried with the first scope; the others take a few more.
        batch_size: examples a training step.
        learning_rate: of Adam, with which is fine-tuned.
        seed: of everything that draws.

    Raises:
        DataError: the data are neither a `.npz` file, nor a folder, nor a data set's name.
        RecipeError: a value is out of range, or the aim is unknown.
    """
    repair: list[dict[str, Any]] = [{"name": "recalibrate"}] if aim != "size" else []
    if epochs:
        repair.append({"name": "fine_tune", "epochs": epochs, "patience": max(2, epochs)})
    value: dict[str, Any] = {
        "schema": 1,
        "name": f"auto-{Path(model).stem}",
        "title": f"{Path(model).name}, as small as {max_drop:g} of accuracy allows",
        "family": "By itself",
        "data": data_of(data),
        "model": {"name": "file", "file": str(model)},
        "train": {
            "epochs": 0,
            "batch_size": batch_size,
            "optimizer": {"name": "adam", "learning_rate": learning_rate},
        },
        "prune": {
            "criterion": "magnitude" if aim == "size" else "l2_norm",
            "granularity": "weight" if aim == "size" else "unit",
            "scope": "global" if aim == "size" else "layer",
            "schedule": "one_shot",
            "target": {
                "name": "accuracy_drop",
                "accuracy_drop": max_drop,
                "trials": trials,
                "objective": aim,
                "vary": ["shares"],
            },
            "repair": repair,
        },
        "measure": {"latency": {"batch_sizes": [1, 64]}},
        "seed": seed,
    }
    return recipe_from(Document(value, {}, "auto"))


def data_of(data: str | Path) -> dict[str, Any]:
    """The data part of a recipe from what a person gives: a `.npz` file, a folder of images, or a data set's name.

    Raises:
        DataError: it is none of them.
    """
    place = Path(data).expanduser()
    if place.suffix == ".npz":
        return {"name": "npz", "npz": str(data)}
    if place.is_dir():
        return {"name": "folder", "folder": str(data)}
    named = [entry.name for entry in entries("data").values() if entry.family != "yours"]
    if str(data) in named:
        return {"name": str(data)}
    close = near(str(data), named)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"Give one of them, or {', '.join(named)}"
    what = (
        "this is neither a .npz file nor a folder of images"
        if place.exists()
        else ("there is no such .npz file or folder of images, and no data set of that name")
    )
    raise DataError(what, where=str(data), todo=hint)
