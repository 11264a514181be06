import subprocess
import sys

import pytest

from engine.estimating import memory, parameters, slots
from engine.recipe import Measure, Part, Prune, Recipe, Train


def test_the_mlp_by_hand():
    # 64-300-100-10: 64 * 300 + 300, 300 * 100 + 100, 100 * 10 + 10.
    found = memory(Recipe(name="x", model=Part("mlp", {"hidden": (300, 100)}), train=Train(batch_size=64)))
    assert found is not None
    assert found.parameters == 19_500 + 30_100 + 1_010
    assert found.weights == 4 * 50_610  # nothing is pruned: no control, no masks
    assert found.optimizer == 3 * 4 * 50_610  # gradients, and Adam's two
    assert found.activations == 2 * 4 * 64 * (64 + 300 + 100 + 10)
    assert found.data == 4 * 1_797 * 64
    assert found.total == found.weights + found.optimizer + found.activations + found.data


def test_the_cnn_by_hand():
    # 8x8x1: conv 3x3x1x4, BN 4, pool; conv 3x3x4x8, BN 8, pool; 2 * 2 * 8 to 10.
    model = Part("cnn", {"filters": (4, 8)})
    optimizer = Part("sgd", {"momentum": 0.9})
    recipe = Recipe(
        name="x", model=model, train=Train(batch_size=32, optimizer=optimizer), prune=Prune(), measure=Measure()
    )
    found = memory(recipe)
    assert found is not None
    trainable = 36 + 8 + 288 + 16 + 330
    assert found.parameters == trainable + 8 + 16
    assert found.weights == 3 * 4 * (trainable + 24)  # itself, its masks, the dense control
    assert found.optimizer == 2 * 4 * trainable  # gradients and momentum
    outputs = 64 + 3 * 64 * 4 + 16 * 4 + 3 * 16 * 8 + 4 * 8 + 10
    assert found.activations == 2 * 4 * 32 * outputs


def test_a_limit_and_half_precision_need_less():
    small = Recipe(name="x", data=Part("mnist", {"limit": 100}), train=Train(batch_size=256, mixed_precision=True))
    found = memory(small)
    assert found is not None
    assert found.data == 4 * 15_100 * 784
    assert found.activations == 2 * 2 * 100 * (784 + 300 + 100 + 10)


def test_files_are_not_known():
    assert memory(Recipe(name="x", model=Part("file", {"file": "a.keras"}))) is None
    assert memory(Recipe(name="x", data=Part("npz", {"npz": "a.npz"}))) is None


@pytest.mark.parametrize(
    ("name", "params", "shape", "expected"),
    [
        ("lenet_300_100", {}, (28, 28, 1), 266_610),  # the catalog's own numbers
        ("lenet5", {}, (28, 28, 1), 431_080),
        ("baseline_mlp", {}, (28, 28, 1), 784_000 + 1_000_000 + 500_000 + 100_000 + 2_000),
    ],
)
def test_published_counts(name, params, shape, expected):
    assert parameters(Part(name, params), shape, 10) == expected


@pytest.mark.parametrize(
    ("name", "params", "shape"),
    [
        ("mlp", {"hidden": (7, 5), "batch_norm": True, "dropout": 0.5, "bias": False}, (8, 8, 1)),
        ("cnn", {"filters": (3, 5), "kernel_size": 5, "dense": (9,), "batch_norm": False}, (8, 8, 1)),
        ("cnn", {"filters": (3,), "head": "average", "dropout": 0.1}, (9, 9, 3)),
        ("lenet5", {}, (8, 8, 1)),
        ("vgg11", {"width": 0.05}, (32, 32, 3)),
        ("vgg16", {"width": 0.03, "dropout": 0.5}, (8, 8, 1)),
        ("resnet20", {"width": 0.3, "blocks": 2}, (32, 32, 3)),
        ("mobilenet_small", {"width": 0.25}, (32, 32, 3)),
    ],
)
def test_counts_are_those_of_the_built_model(name, params, shape):
    from engine.models import build

    model = build(name, shape, 10, **params)
    assert parameters(Part(name, params), shape, 10) == model.count_params()


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [("adam", {}, 2), ("sgd", {"momentum": 0.0}, 0), ("lion", {}, 1), ("adamw", {"use_ema": True}, 3)],
)
def test_slots(name, params, expected):
    assert slots(Part(name, params)) == expected


def test_it_needs_no_tensorflow():
    code = "import sys, engine.estimating; print([m for m in ('tensorflow', 'keras', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
