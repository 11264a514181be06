"""prune-tui's engine: pruning for Keras 3, as a library.

Importing it imports no TensorFlow; each name loads on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# name -> the module that defines it. No module of this package bears the name of one of these.
_HOMES: dict[str, str] = {
    "load_recipe": "engine.recipe",
    "Recipe": "engine.recipe",
    "Session": "engine.session",
    "run": "engine.running.executing",
    "runtimes": "engine.measurement.contenders",
    "dependency_groups": "engine.surgery.groups",
    "remove_units": "engine.surgery.removal",
    "shrink": "engine.surgery.removal",
    "interpolate": "engine.interpolation.compressing",
    "interpolate_with_report": "engine.interpolation.compressing",
    "recalibrate": "engine.repairs.recalibrate",
    "measure": "engine.measurement.measuring",
    "export": "engine.exporting.writing",
    "load_packed": "engine.exporting.packing",
    "attach": "engine.masks",
    "Pruning": "engine.pruning_callback",
    "choose": "engine.choosing",
    "densities": "engine.scopes.erk",
    "schedule": "engine.schedules.curves",
    "pq_index": "engine.pq",
    "sap_keep": "engine.pq",
    "score": "engine.scoring.scores",
    "score_units": "engine.scoring.units",
    "prune": "engine.scoring.pruning",
    "sensitivity": "engine.running.adaptive.sensing",
    "auto_recipe": "engine.automatic",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
