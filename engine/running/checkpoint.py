"""A checkpoint: everything that the rest of a run depends on, in one file that is whole or not there.

One `.npz` without pickled objects: arrays by name, and a JSON text for what is not an array (the architecture as Keras
writes it, where the run stands, what a method remembers).
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import PruneError
from engine.files import write_atomically

Array = np.ndarray[Any, Any]
FILE = Path("checkpoint") / "state.npz"


def save(folder: Path, *, arrays: dict[str, dict[str, Array]], state: dict[str, Any]) -> None:
    """Writes a checkpoint.

    Args:
        folder: the run's folder.
        arrays: groups of arrays (weights, optimizer, masks, ...), each by key.
        state: JSON values.
    """
    flat = {f"{group}|{key}": array for group, members in arrays.items() for key, array in members.items()}
    # numpy has no bfloat16 without ml_dtypes' registration on load; Keras keeps variables in float32 or wider.
    buffer = io.BytesIO()
    members: dict[str, Any] = {"": np.frombuffer(json.dumps(state).encode(), dtype=np.uint8), **flat}
    np.savez(buffer, **members)
    write_atomically(folder / FILE, buffer.getvalue())


def load(folder: Path) -> tuple[dict[str, dict[str, Array]], dict[str, Any]]:
    """Reads a checkpoint: the groups of arrays, and the state.

    Raises:
        PruneError: there is none, or it is not one.
    """
    path = folder / FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            state = json.loads(file[""].tobytes())
            groups: dict[str, dict[str, Array]] = {}
            for name in file.files:
                group, bar, key = name.partition("|")
                if bar:
                    groups.setdefault(group, {})[key] = file[name]
    except FileNotFoundError:
        raise PruneError(
            "this run has no checkpoint yet, so there is nothing to resume",
            where=str(path),
            todo="Start it again: prune-tui run " + str(folder / "recipe.yaml"),
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise PruneError(f"the checkpoint cannot be read: {error}", where=str(path)) from None
    return groups, state


def exists(folder: Path | None) -> bool:
    """True when there is something to resume from."""
    return folder is not None and (folder / FILE).is_file()
