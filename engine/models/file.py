"""A model of the user's own, from a `.keras` file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from engine import named_files
from engine.errors import ModelError
from engine.registry import register


@register("model", "file")
@dataclass(frozen=True)
class File:
    """A saved model with its weights, loaded in safe mode."""

    file: str

    def build(self, input_shape: Sequence[int], classes: int, seed: int) -> keras.Model:
        """The model, checked against the data; `seed` has no part in it.

        Raises:
            ModelError: no such file, not a `.keras` file, custom code in it, or made for other inputs or outputs.
        """
        del seed
        model = load_model(self.file)
        _check(model, tuple(input_shape), classes, self.file)
        return model


def load_model(path: str | Path) -> keras.Model:
    """Loads a `.keras` file without running code from it, and without its optimizer.

    Raises:
        ModelError: says what is wrong and what to do.
    """
    place, where = named_files.model_file(path), str(path)
    try:
        model: keras.Model = keras.models.load_model(place, safe_mode=True, compile=False)
    except Exception as problem:  # whatever a damaged or foreign file makes Keras raise
        said = str(problem).strip().splitlines() or [type(problem).__name__]
        raise ModelError(f"Keras cannot load it: {said[0]}", where=where, todo=_advice(str(problem))) from problem
    if not model.built:
        raise ModelError("the saved model was never built", where=where, todo="Call it on one batch before saving it")
    return model


def _advice(problem: str) -> str:
    if "safe_mode" in problem or "lambda" in problem.lower():
        return "It holds a Lambda layer, whose code is not run: replace it by a layer, or use the library"
    if "custom" in problem or "registered" in problem or "Could not locate class" in problem:
        return "It uses classes of your own: use the library (engine.prune, engine.Pruning) where they are defined"
    return "Save it again with this version of Keras, or use the library where the model is defined"


def _check(model: keras.Model, input_shape: tuple[int, ...], classes: int, where: str) -> None:
    if len(model.inputs or ()) != 1 or len(model.outputs or ()) != 1:
        raise ModelError(
            "only models with one input and one output can be run from a recipe", where=where, todo="Use the library"
        )
    wanted, given = tuple(model.inputs[0].shape[1:]), input_shape
    if len(wanted) != len(given) or any(w is not None and w != g for w, g in zip(wanted, given, strict=True)):
        raise ModelError(
            f"it takes examples of shape {wanted}, the data has {given}",
            where=where,
            todo="Choose the data it was made for",
        )
    made = tuple(model.outputs[0].shape[1:])
    if len(made) != 1:
        raise ModelError(
            f"its output has shape {made} for each example, and a recipe needs a row of classes or values",
            where=where,
            todo="Use the library",
        )
    # One unit can tell two classes apart: a probability, or a logit.
    if made[0] != classes and (made[0], classes) != (1, 2):
        raise ModelError(
            f"it has {made[0]} output{'' if made[0] == 1 else 's'}, the data needs {classes}",
            where=where,
            todo="Choose the data it was made for"
            + ("; where whole numbers are no classes, write task: regression" if made[0] == 1 else ""),
        )
