"""The memory a run will ask for, from its recipe alone: the sizes of the built-in models, without building them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.recipe import Part, Recipe

FLOAT = 4
# Examples in training, in validation and test together, shape of one, classes.
_DATA: dict[str, tuple[int, int, tuple[int, ...], int]] = {
    "digits": (1_078, 719, (8, 8, 1), 10),
    "mnist": (55_000, 15_000, (28, 28, 1), 10),
    "fashion_mnist": (55_000, 15_000, (28, 28, 1), 10),
    "cifar10": (45_000, 15_000, (32, 32, 3), 10),
    "cifar100": (45_000, 15_000, (32, 32, 3), 100),
}
_SLOTS = {"adam": 2, "adamw": 2, "lamb": 2, "muon": 2, "lion": 1, "sgd": 0, "rmsprop": 1}
_VGG11 = ((64,), (128,), (256, 256), (512, 512), (512, 512))
_VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_SEPARABLE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (256, 1))


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a run holds at once, in bytes; TensorFlow itself is not in it.

    Attributes:
        parameters: how many the model has, moving statistics included.
        weights: the model, its dense control, and its masks (a number a weight).
        optimizer: gradients and slots (Adam has two a weight, momentum one).
        activations: every layer's output for one batch, and as much again for the gradients.
        data: all examples as float32.
    """

    parameters: int
    weights: int
    optimizer: int
    activations: int
    data: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.optimizer + self.activations + self.data


def memory(recipe: Recipe) -> Memory | None:
    """Estimates a run's memory; None where model or data are files, whose sizes the recipe does not tell."""
    if recipe.data.name not in _DATA:
        return None
    train, other, shape, classes = _DATA[recipe.data.name]
    net = _network(recipe.model, shape, classes)
    if net is None:
        return None
    limit = recipe.data.params.get("limit")
    train = min(train, int(limit)) if limit else train
    copies = 1 + (recipe.prune is not None) * (1 + recipe.measure.dense_control)
    batch = min(recipe.train.batch_size, train)
    width = FLOAT // 2 if recipe.train.mixed_precision else FLOAT
    return Memory(
        parameters=net.parameters,
        weights=copies * FLOAT * net.parameters,
        optimizer=(1 + slots(recipe.train.optimizer)) * FLOAT * net.trainable,
        activations=2 * width * batch * net.outputs,
        data=FLOAT * (train + other) * math.prod(shape),
    )


def slots(optimizer: Part) -> int:
    """How many numbers an optimizer keeps for each weight (for Muon at most: Dense kernels have one)."""
    momentum = optimizer.name in ("sgd", "rmsprop") and bool(optimizer.params.get("momentum"))
    return _SLOTS.get(optimizer.name, 2) + momentum + bool(optimizer.params.get("use_ema"))


def parameters(model: Part, shape: Sequence[int], classes: int) -> int | None:
    """How many parameters a built-in model has for examples of this shape; None for a model from a file."""
    net = _network(model, tuple(shape), classes)
    return None if net is None else net.parameters


class _Net:
    """Counts as layers are put on each other: parameters, and the numbers that all outputs have for one example."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.outputs, self.trainable, self.fixed = shape, math.prod(shape), 0, 0

    @property
    def parameters(self) -> int:
        return self.trainable + self.fixed

    def _now(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.outputs += math.prod(shape)

    def flat(self) -> None:
        self.shape = (math.prod(self.shape),)  # a view: no new numbers

    def dense(self, units: int, *, bias: bool = True) -> None:
        self.trainable += self.shape[0] * units + units * bias
        self._now((units,))

    def conv(self, filters: int, *, size: int = 3, strides: int = 1, bias: bool = False, valid: bool = False) -> None:
        high, wide, channels = self.shape
        self.trainable += size * size * channels * filters + filters * bias
        high, wide = (
            (high - size + 1, wide - size + 1) if valid else (math.ceil(high / strides), math.ceil(wide / strides))
        )
        self._now((high, wide, filters))

    def depthwise(self, *, strides: int) -> None:
        high, wide, channels = self.shape
        self.trainable += 9 * channels
        self._now((math.ceil(high / strides), math.ceil(wide / strides), channels))

    def norm(self) -> None:
        self.trainable += 2 * self.shape[-1]
        self.fixed += 2 * self.shape[-1]
        self._now(self.shape)

    def same(self, *, when: bool = True) -> None:
        """A layer without parameters that keeps the shape: activation, addition, dropout."""
        if when:
            self._now(self.shape)

    def pool(self) -> None:
        high, wide, channels = self.shape
        if min(high, wide) >= 2:
            self._now((high // 2, wide // 2, channels))

    def average(self) -> None:
        self._now(self.shape[-1:])


def _network(model: Part, shape: tuple[int, ...], classes: int) -> _Net | None:
    net, of = _Net(shape), model.params
    width = float(of.get("width", 1.0))

    def scaled(filters: int) -> int:
        return max(1, math.floor(filters * width + 0.5))

    match model.name:
        case "mlp" | "lenet_300_100":
            _mlp(net, {"hidden": (300, 100), **of})
        case "baseline_mlp":
            _mlp(net, {"hidden": (1000, 1000, 500, 200), "bias": False})
        case "cnn":
            _cnn(net, of)
        case "lenet5":
            for filters in (20, 50):
                net.conv(filters, size=5, bias=True, valid=min(shape[:2]) >= 16)
                net.pool()
            net.flat()
            net.dense(500)
        case "vgg11" | "vgg16":
            for stage in _VGG11 if model.name == "vgg11" else _VGG16:
                for filters in stage:
                    net.conv(scaled(filters))
                    net.norm()
                    net.same()
                net.pool()
            net.flat()
        case "resnet20":
            _resnet(net, [scaled(f) for f in (16, 32, 64)], int(of.get("blocks", 3)))
        case "mobilenet_small":
            _block(net, scaled(32))
            for filters, strides in _SEPARABLE:
                net.depthwise(strides=strides)
                net.norm()
                net.same()
                _block(net, scaled(filters), size=1)
            net.average()
        case _:
            return None
    if model.name != "mlp":
        net.same(when=bool(of.get("dropout")))
    net.dense(classes, bias=bool(of.get("bias", model.name != "baseline_mlp")))
    return net


def _mlp(net: _Net, of: Mapping[str, Any]) -> None:
    net.flat()
    for units in of["hidden"]:
        net.dense(int(units), bias=bool(of.get("bias", True)))
        if of.get("batch_norm"):
            net.norm()
            net.same()
        net.same(when=bool(of.get("dropout")))


def _cnn(net: _Net, of: Mapping[str, Any]) -> None:
    normed = bool(of.get("batch_norm", True))
    for filters in of.get("filters", (32, 64)):
        net.conv(int(filters), size=int(of.get("kernel_size", 3)), bias=not normed)
        if normed:
            net.norm()
        net.same()
        net.pool()
    if of.get("head", "flatten") == "flatten":
        net.flat()
    else:
        net.average()
    for units in of.get("dense", ()):
        net.same(when=bool(of.get("dropout")))
        net.dense(int(units))


def _block(net: _Net, filters: int, *, size: int = 3, strides: int = 1) -> None:
    net.conv(filters, size=size, strides=strides)
    net.norm()
    net.same()


def _resnet(net: _Net, stages: Sequence[int], blocks: int) -> None:
    _block(net, stages[0])
    for stage, filters in enumerate(stages):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            entry = net.shape
            _block(net, filters, strides=strides)
            net.conv(filters)
            net.norm()
            if strides != 1 or entry[-1] != filters:
                after, net.shape = net.shape, entry
                net.conv(filters, size=1, strides=strides)
                net.norm()
                net.shape = after
            net.same()  # the addition
            net.same()  # and its activation
    net.average()
