"""The typed recipe: what to prune and how, as a YAML preset says it.

A part of the sentence is written as a name, or as a mapping with `name` and parameters; the name may be left out where
one of the keys is itself the name of an entry (`target: {sparsity: 0.9}`, `model: {file: path.keras}`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

SCHEMA = 1
RuntimeName = Literal[
    "all",
    "tensorflow",
    "tensorflow_xla",
    "tensorflow_sparse",
    "numpy",
    "scipy",
    "litert",
    "litert_2",
    "litert_sparse",
    "litert_int8",
    "onnx",
]


class Part(msgspec.Struct, frozen=True):
    """One part of the sentence: a catalog name and its parameters, all of them, defaults included."""

    name: str
    params: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """A parameter's value."""
        return self.params.get(key, default)


def _kind(name: str) -> msgspec.Meta:
    return msgspec.Meta(extra={"kind": name})


class Train(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """How the dense network is trained (and with the same optimizer, what follows)."""

    epochs: Annotated[int, msgspec.Meta(ge=0, le=100_000, description="epochs of training; 0 trains nothing")] = 10
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=1_000_000, description="examples a step")] = 64
    optimizer: Annotated[Part, _kind("optimizer")] = Part("adam")
    learning_rate: Annotated[Part, _kind("learning_rate")] = Part("constant")
    patience: Annotated[int, msgspec.Meta(ge=1)] | None = None
    mixed_precision: bool = False


class Prune(msgspec.Struct, frozen=True, kw_only=True):
    """The sentence: score, pool, choose, when, until, repair."""

    criterion: Annotated[Part, _kind("criterion")] = Part("magnitude")
    granularity: Annotated[Part, _kind("granularity")] = Part("weight")
    scope: Annotated[Part, _kind("scope")] = Part("global")
    schedule: Annotated[Part, _kind("schedule")] = Part("one_shot")
    target: Annotated[Part, _kind("target")] = Part("sparsity")
    repair: Annotated[tuple[Part, ...], _kind("repair")] = ()


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How prediction time is measured."""

    batch_sizes: tuple[Annotated[int, msgspec.Meta(ge=1, le=65_536)], ...] = (1, 64)
    repeats: Annotated[int, msgspec.Meta(ge=3, le=10_000, description="timed calls a batch size")] = 30


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured at the end."""

    latency: Latency | None = Latency()
    runtimes: Annotated[
        tuple[Annotated[RuntimeName, msgspec.Meta(title="runtime")], ...],
        msgspec.Meta(description="runtimes to time it in, as engine.runtimes names; all: every one that is here"),
    ] = ()
    dense_control: Annotated[bool, msgspec.Meta(description="train the same model unpruned, as long, to compare")] = (
        True
    )


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A whole recipe, resolved: every default filled in."""

    name: str
    schema: Annotated[int, msgspec.Meta(ge=SCHEMA, le=SCHEMA)] = SCHEMA
    title: str = ""
    family: str = ""
    about: str = ""
    data: Annotated[Part, _kind("data")] = Part("digits")
    model: Annotated[Part, _kind("model")] = Part("mlp")
    train: Train = Train()
    prune: Prune | None = None
    measure: Measure = Measure()
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    sweep: dict[str, tuple[Any, ...]] = {}


def load_recipe(path: str | Path, *, overrides: dict[str, Any] | None = None) -> Recipe:
    """Reads a recipe from a YAML file, or a preset by its name.

    Args:
        path: a file, or the name of a preset (shipped or saved by the user).
        overrides: values by key from the top, as in `{"prune.target.sparsity": 0.95}`.

    Raises:
        RecipeError: with every problem of the file, each as `file:line:column: key: message`.
    """
    from engine.presets import read
    from engine.recipe_reading import recipe_from

    document = read(path)
    return recipe_from(document, overrides=overrides)


def to_plain(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain values, in the order and shape in which a person writes it."""
    from engine.recipe_reading import part_to_plain

    plain: dict[str, Any] = {"schema": recipe.schema, "name": recipe.name}
    plain |= {k: v for k in ("title", "family", "about") if (v := getattr(recipe, k))}
    plain |= {"data": part_to_plain(recipe.data, "data"), "model": part_to_plain(recipe.model, "model")}
    train: dict[str, Any] = {
        "epochs": recipe.train.epochs,
        "batch_size": recipe.train.batch_size,
        "optimizer": part_to_plain(recipe.train.optimizer, "optimizer"),
        "learning_rate": part_to_plain(recipe.train.learning_rate, "learning_rate"),
    }
    if recipe.train.patience is not None:
        train["patience"] = recipe.train.patience
    if recipe.train.mixed_precision:
        train["mixed_precision"] = True
    plain["train"] = train
    if recipe.prune is not None:
        plain["prune"] = {
            k: part_to_plain(getattr(recipe.prune, k), k)
            for k in ("criterion", "granularity", "scope", "schedule", "target")
        }
        repairs = [part_to_plain(r, "repair") for r in recipe.prune.repair]
        plain["prune"]["repair"] = repairs[0] if len(repairs) == 1 else repairs
    plain["measure"] = msgspec.to_builtins(recipe.measure)
    plain["seed"] = recipe.seed
    if recipe.sweep:
        plain["sweep"] = {k: list(v) for k, v in recipe.sweep.items()}
    return plain


def to_yaml(recipe: Recipe) -> str:
    """A recipe as YAML text that loads again to the same recipe."""
    from engine.yaml12 import dump

    return dump(to_plain(recipe))
