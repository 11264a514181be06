"""Units by the numbers of the dense model while some are physically gone: removal must not change what is chosen.

A share, a scope and a layer's own sparsity are of the dense model's units. After a removal between rounds the model
itself no longer knows how many those were, so the run remembers them, and which of them are still there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.running.context import Run
from engine.surgery import LayerUnits, layer_units

Array = np.ndarray[Any, Any]
MEMORY = "numbering"


class Numbering:
    """The units of every layer of the dense model, and which of them the model as it is still has.

    Attributes:
        units: of the dense model, by layer key.
        left: by layer key, the numbers `(units now,)` that the units there are now had at first.
    """

    def __init__(self, run: Run) -> None:
        kept: dict[str, Any] | None = run.memory.get(MEMORY)
        if kept is None:
            self.units = layer_units(run.model)
            self.left = {key: np.arange(layer.units) for key, layer in self.units.items()}
            return
        self.units = {key: _layer(row) for key, row in kept.items()}
        self.left = {key: np.asarray(row["left"], np.int64) for key, row in kept.items()}

    def removed(self, run: Run, gone: Mapping[str, tuple[int, ...]]) -> None:
        """Notes in the run's memory what surgery has just taken.

        Args:
            run: whose memory it is; it survives a resume.
            gone: by layer key, as the layers numbered their units before it.
        """
        run.memory[MEMORY] = {
            key: {
                "units": layer.units,
                "free": layer.free.tolist(),
                "group": layer.group.tolist(),
                "stays": layer.stays,
                "shape": list(layer.shape),
                "left": np.delete(self.left[key], list(gone.get(key, ()))).tolist(),
            }
            for key, layer in self.units.items()
        }

    def spread(self, key: str, values: Array, *, fill: Any) -> Array:
        """Values of the units that a layer has now, by their first numbers; `fill` where a unit is gone."""
        whole = np.full(self.units[key].units, fill, dtype=values.dtype)
        whole[self.left[key]] = values
        return whole

    def now(self, kept: Mapping[str, Array]) -> dict[str, Array]:
        """What stays, as the model that there is now numbers its units."""
        return {key: keep[self.left[key]] for key, keep in kept.items()}


def _layer(row: Mapping[str, Any]) -> LayerUnits:
    free, group = np.asarray(row["free"], bool), np.asarray(row["group"], np.int64)
    return LayerUnits(row["units"], free, group, row["stays"], tuple(row.get("shape", ())))
