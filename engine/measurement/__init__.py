"""What a model costs and what it can do. Its names load on first use: values need no TensorFlow."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Measurement": "engine.measurement.values",
    "measure": "engine.measurement.measuring",
    "runtimes": "engine.measurement.contenders",
    "crossover": "engine.measurement.searching",
    "fastest_way": "engine.measurement.searching",
    "compare": "engine.measurement.comparison",
    "agreement": "engine.measurement.comparison",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine.measurement' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
