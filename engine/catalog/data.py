"""Data: what a network is trained on, always in fixed parts: train, validate (where choices are made), test."""

from __future__ import annotations

import msgspec

from engine.catalog.entry import Entry, Param

_COMMON = (
    Param(
        name="limit",
        type="int",
        doc="use only this many training examples, the first ones; empty: all",
        low=1,
        optional=True,
    ),
    Param(
        name="standardize",
        type="bool",
        doc="subtract the training mean and divide by the deviation, per channel (tables: per feature)",
        default=False,
    ),
)
_IMAGE = (
    *_COMMON,
    Param(name="flip", type="bool", doc="mirror training images left to right at random", default=False),
    Param(
        name="shift",
        type="int",
        doc="move training images at random by up to this many pixels",
        default=0,
        low=0,
        high=64,
    ),
)
_SEED = Param(name="split_seed", type="int", doc="seed of the split where the files bring none", default=0, low=0)
_NETWORK = frozenset({"network"})

ENTRIES = (
    Entry(
        kind="data",
        name="digits",
        title="Handwritten digits 8x8",
        family="bundled",
        summary="1,797 digits of 8x8 pixels that come with scikit-learn: 1,078 train, 359 validate, 360 test.",
        formula="x = pixels / 16, in [0, 1], shape (8, 8, 1); 10 classes",
        source="Alpaydin & Kaynak 1998 (UCI), the part bundled with scikit-learn",
        when="To try things out, without a network, on a small machine.",
        words="8x8 handwritten digits",
        params=_IMAGE,
    ),
    Entry(
        kind="data",
        name="mnist",
        title="MNIST digits 28x28",
        family="images",
        summary="60,000 and 10,000 handwritten digits of 28x28 pixels; the last 5,000 training images validate.",
        formula="x = pixels / 255, in [0, 1], shape (28, 28, 1); 10 classes",
        source="LeCun, Cortes & Burges 1998",
        when="The set of the classic pruning papers. Read from $PRUNE_TUI_DATA, Keras' cache, or downloaded (11 MB).",
        words="MNIST",
        params=_IMAGE,
        needs=_NETWORK,
    ),
    Entry(
        kind="data",
        name="fashion_mnist",
        title="Fashion-MNIST 28x28",
        family="images",
        summary="60,000 and 10,000 photographs of clothes in grey, 28x28; the last 5,000 training images validate.",
        formula="x = pixels / 255, in [0, 1], shape (28, 28, 1); 10 classes",
        source="Xiao, Rasul & Vollgraf 2017",
        when="As MNIST, but harder. Read from $PRUNE_TUI_DATA, Keras' cache, or downloaded (31 MB).",
        words="Fashion-MNIST",
        params=_IMAGE,
        needs=_NETWORK,
    ),
    Entry(
        kind="data",
        name="cifar10",
        title="CIFAR-10 photographs 32x32",
        family="images",
        summary="50,000 and 10,000 colour photographs, 32x32, of ten things; the last 5,000 training images validate.",
        formula="x = pixels / 255, in [0, 1], shape (32, 32, 3); 10 classes",
        source="Krizhevsky 2009",
        when="For convolutional networks. Read from $PRUNE_TUI_DATA, Keras' cache, or downloaded (170 MB).",
        words="CIFAR-10",
        params=_IMAGE,
        needs=_NETWORK,
    ),
    Entry(
        kind="data",
        name="cifar100",
        title="CIFAR-100 photographs 32x32",
        family="images",
        summary="As CIFAR-10 with a hundred classes of 500 training images; the last 5,000 training images validate.",
        formula="x = pixels / 255, in [0, 1], shape (32, 32, 3); 100 classes",
        source="Krizhevsky 2009",
        when="Where ten classes are too easy. Read from $PRUNE_TUI_DATA, Keras' cache, or downloaded (169 MB).",
        words="CIFAR-100",
        params=_IMAGE,
        needs=_NETWORK,
    ),
    Entry(
        kind="data",
        name="npz",
        title="Your arrays (.npz)",
        family="yours",
        summary="A NumPy archive: x_train, y_train, x_test, y_test (and x_val, y_val), or x and y, split 60/20/20.",
        formula="x as it is, 8-bit integers / 255; y whole numbers or words: classes, real numbers: regression",
        when="Any data that fits into memory: tables, series, images.",
        words="the arrays of {npz}",
        params=(
            Param(name="npz", type="str", doc="path of the .npz file", default=msgspec.UNSET),
            Param(
                name="task",
                type="str",
                doc="what y is: classes, or real values; auto: real-valued y is regression, but for 0.0 and 1.0",
                default="auto",
                choices=("auto", "classification", "regression"),
            ),
            _SEED,
            *_IMAGE,
        ),
    ),
    Entry(
        kind="data",
        name="folder",
        title="Your image folder",
        family="yours",
        summary="Images in a folder a class, under train/ and test/ (and val/), or all in one, split 60/20/20.",
        formula="x = pixels / 255, in [0, 1], all images at one size; a class a subfolder, in alphabetical order",
        when="Photographs on disk: jpg, png, bmp or gif.",
        words="the images of {folder}",
        params=(
            Param(name="folder", type="str", doc="path of the folder", default=msgspec.UNSET),
            Param(
                name="size",
                type="int",
                doc="height and width in pixels; empty: those of the first image",
                low=1,
                high=1024,
                optional=True,
            ),
            Param(name="grayscale", type="bool", doc="one channel instead of three", default=False),
            _SEED,
            *_IMAGE,
        ),
    ),
)
