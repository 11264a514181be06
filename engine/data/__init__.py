"""Data sets by name, in memory, with fixed parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.data.dataset import Dataset

__all__ = ["load"]


def load(name: str, **params: Any) -> Dataset:
    """Loads a data set of the catalog.

    Args:
        name: `digits`, `mnist`, `fashion_mnist`, `cifar10`, `cifar100`, `npz` or `folder`.
        params: the entry's parameters; the others take the catalog's defaults.

    Raises:
        UnknownName: no such data set.
        DataError: it cannot be found, read or understood; says where it was looked for and what to do.
    """
    from engine.registry import make

    dataset: Dataset = make("data", name, params).load()
    return dataset
