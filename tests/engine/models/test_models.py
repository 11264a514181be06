from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import keras
import numpy as np
import pytest

import engine.models
from engine import catalog
from engine.errors import ModelError, PruneError
from engine.keys import variable_keys
from engine.registry import implementation

# 3x3 kernels, and four numbers a filter in each BatchNorm.
WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
VGG16 = sum(9 * a * b + 4 * b for a, b in itertools.pairwise(WIDTHS)) + 512 * 10 + 10
# One convolution, then stages of six, of which the first of stages 2 and 3 widens; and two 1x1 projections.
RESNET20 = (
    (9 * 3 * 16 + 64)
    + 6 * (9 * 16 * 16 + 64)
    + (9 * 16 * 32 + 128) + 5 * (9 * 32 * 32 + 128) + (16 * 32 + 128)
    + (9 * 32 * 64 + 256) + 5 * (9 * 64 * 64 + 256) + (32 * 64 + 256)
    + 650
)  # fmt: skip
# name, parameters, input shape, parameters counted by hand or by the papers
KNOWN: list[tuple[str, dict[str, Any], tuple[int, ...], int]] = [
    ("mlp", {"hidden": (5, 4)}, (3,), (3 * 5 + 5) + (5 * 4 + 4) + (4 * 10 + 10)),
    ("mlp", {"hidden": (5,), "bias": False, "batch_norm": True}, (3,), 15 + 4 * 5 + 50),
    ("lenet_300_100", {}, (28, 28, 1), 266_610),
    ("baseline_mlp", {}, (28, 28, 1), 784 * 1000 + 1000 * 1000 + 1000 * 500 + 500 * 200 + 200 * 10),
    ("lenet5", {}, (28, 28, 1), 431_080),
    ("lenet5", {}, (8, 8, 1), 520 + 25_050 + (2 * 2 * 50 * 500 + 500) + 5_010),
    ("cnn", {"filters": (4,), "dense": (6,)}, (8, 8, 1), 36 + 16 + (4 * 4 * 4 * 6 + 6) + 70),
    ("cnn", {"filters": (4,), "batch_norm": False, "head": "average"}, (8, 8, 1), 40 + 50),
    ("vgg16", {}, (32, 32, 3), VGG16),
    ("resnet20", {}, (32, 32, 3), RESNET20),
]


@pytest.mark.parametrize(("name", "params", "shape", "count"), KNOWN)
def test_parameter_counts(name: str, params: dict[str, Any], shape: tuple[int, ...], count: int) -> None:
    assert engine.models.build(name, shape, 10, **params).count_params() == count


SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": (6,), "dropout": 0.5},
    "cnn": {"filters": (3,), "dropout": 0.5},
    "vgg11": {"width": 0.02, "dropout": 0.5},
    "vgg16": {"width": 0.02},
    "resnet20": {"width": 0.1, "blocks": 1},
    "mobilenet_small": {"width": 0.05, "dropout": 0.5},
}
NAMES = [n for n in catalog.entries("model") if n != "file"]


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_weights_same_names(name: str) -> None:
    params = SMALL.get(name, {})
    one = engine.models.build(name, (8, 8, 1), 4, 3, **params)
    keras.layers.Dense(2)  # moves Keras' global counters and nothing else
    keras.utils.set_random_seed(9)
    same, other = (engine.models.build(name, (8, 8, 1), 4, s, **params) for s in (3, 4))
    assert list(variable_keys(one)) == list(variable_keys(same)) == [v.path for v in one.weights]
    for a, b in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])
    last = one.layers[-1]
    assert last.name == "output"
    assert last.activation is keras.activations.linear
    assert one(np.zeros((2, 8, 8, 1), np.float32)).shape == (2, 4)


@pytest.mark.parametrize("name", ["cnn", "resnet20", "vgg11", "mobilenet_small", "lenet5"])
def test_what_needs_images_says_so(name: str) -> None:
    with pytest.raises(ModelError, match="not images"):
        engine.models.build(name, (64,), 10)


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (5, 7, 2)])
def test_pooling_never_empties_an_image(shape: tuple[int, ...]) -> None:
    for name in ("vgg11", "cnn", "lenet5", "resnet20", "mobilenet_small"):
        model = engine.models.build(name, shape, 3, **({"width": 0.02} if name == "vgg11" else SMALL.get(name, {})))
        assert np.isfinite(model(np.ones((1, *shape), np.float32))).all()


@pytest.mark.parametrize("name", catalog.entries("model"))
def test_every_entry_has_its_code_with_the_same_defaults(name: str) -> None:
    entry = catalog.get("model", name)
    for field in dataclasses.fields(implementation("model", name)):
        param = entry.param(field.name)
        assert param is not None
        assert param.required if field.default is dataclasses.MISSING else param.default == field.default


def test_unknown_parameters_are_said() -> None:
    with pytest.raises(PruneError, match="Did you mean hidden"):
        engine.models.build("mlp", (3,), 2, hiden=(3,))
