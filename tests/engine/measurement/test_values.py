"""Values load without the heavy libraries, and know their ratios."""

from __future__ import annotations

import json
import subprocess
import sys

import msgspec
import pytest

from engine.events import number
from engine.measurement.values import Counts, Measurement, Value


def counts(parameters: int, nonzero: int) -> Counts:
    return Counts(
        parameters=parameters, nonzero=nonzero, prunable=80, prunable_nonzero=20, units=4, units_alive=4,
        bytes_raw=400, bytes_nonzero=100, bytes_compressed=120,
    )  # fmt: skip


def test_values_load_neither_tensorflow_nor_numpy():
    code = (
        "import sys, engine.measurement.values, engine.exporting.values;"
        "print([m for m in ('tensorflow', 'keras', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_compression_is_of_the_reference():
    alone = Measurement(counts=counts(100, 25))
    assert alone.compression == 4
    assert alone.counts.sparsity == 0.75
    assert Measurement(counts=counts(40, 20), reference=alone).compression == 5
    assert Measurement(counts=counts(40, 0)).compression is None
    assert alone.at(1) is None


@pytest.mark.parametrize("word", ["nan", "inf", "-inf"])
def test_what_is_no_number_travels_as_a_word(word):
    found = Measurement(
        counts=counts(1, 1), loss=number(float(word)),
        metric=Value(name="mean_squared_error", direction="min", value=number(float(word))),
    )  # fmt: skip
    text = msgspec.json.encode(found)
    plain = json.loads(text, parse_constant=pytest.fail)
    assert (plain["loss"], plain["metric"]["value"]) == (word, word)
    assert msgspec.json.decode(text, type=Measurement) == found
