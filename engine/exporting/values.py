"""What an export says of itself, as plain values without TensorFlow or NumPy."""

from __future__ import annotations

import msgspec


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The artefact, loaded again, beside its source.

    Attributes:
        loader: what loaded and ran it.
        inputs: `data`, or `random inputs` where none was given.
        samples: how many rows.
        difference: the largest absolute difference of outputs.
        scale: the largest absolute output of the source.
        tolerance: the largest difference that counts as equal, for outputs of at most 1 (relative above); None where
            the format rounds so coarsely that agreement and accuracy are what counts.
        agreement: share of rows with the same predicted class; None where outputs are no classes.
        accuracy_before: the source's accuracy on those rows; None without labels.
        accuracy_after: the artefact's.
    """

    loader: str
    inputs: str
    samples: int
    difference: float | None
    scale: float | None
    tolerance: float | None = None
    agreement: float | None = None
    accuracy_before: float | None = None
    accuracy_after: float | None = None


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, that it works, and what to expect of it.

    Attributes:
        format: its name.
        path: where it lies.
        bytes: its size (of all files together).
        weights_bytes: the source's weights as they lie in memory.
        xz_bytes: the same weights through xz, as the plain alternative; None where it was not tried.
        ideal_bytes: what an ideal coding of the weights takes (packed only).
        check: how it compares with its source.
        milliseconds: median time of one row in the artefact's own runtime, one thread; None where it was not timed.
        dense_milliseconds: the same without sparse encoding (sparse formats only).
        notes: sentences for people: what to expect, and what was left out.
    """

    format: str
    path: str
    bytes: int
    weights_bytes: int
    check: Check
    xz_bytes: int | None = None
    ideal_bytes: int | None = None
    milliseconds: float | None = None
    dense_milliseconds: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """Its size for each byte of weights."""
        return self.bytes / self.weights_bytes if self.weights_bytes else 0.0
