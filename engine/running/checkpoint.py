"""A checkpoint: everything that the rest of a run depends on, in one file that is whole or not there.

One `.npz` without pickled objects: arrays by name, and a JSON text for what is not an array (the architecture as Keras
writes it, where the run stands, what a method remembers).
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
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
    # NumPy writes what it does not know itself (bfloat16) as bytes without a name: the name is kept beside them.
    foreign = {name: array.dtype.name for name, array in flat.items() if array.dtype.kind not in "biufc"}
    text = json.dumps({**state, "foreign": foreign}).encode()
    buffer = io.BytesIO()
    members: dict[str, Any] = {"": np.frombuffer(text, dtype=np.uint8), **flat}
    np.savez(buffer, **members)
    write_atomically(folder / FILE, buffer.getvalue())


def load(folder: Path) -> tuple[dict[str, dict[str, Array]], dict[str, Any]]:
    """Reads a checkpoint: the groups of arrays, and the state.

    Raises:
        PruneError: there is none, or it is not one.
    """
    path = folder / FILE
    try:
        # Opened here: NumPy leaves a file open that turns out damaged.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            state = json.loads(file[""].tobytes())
            foreign = state.pop("foreign", {})
            groups: dict[str, dict[str, Array]] = {}
            for name in file.files:
                group, bar, key = name.partition("|")
                if bar:
                    array = file[name]
                    groups.setdefault(group, {})[key] = array.view(foreign[name]) if name in foreign else array
    except FileNotFoundError:
        raise PruneError(
            "this run has no checkpoint yet, so there is nothing to resume",
            where=str(path),
            todo="Start it again: prune-tui run " + str(folder / "recipe.yaml"),
        ) from None
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise PruneError(f"the checkpoint cannot be read: {error}", where=str(path)) from None
    return groups, state


def exists(folder: Path | None) -> bool:
    """True when there is something to resume from."""
    try:
        return folder is not None and (folder / FILE).is_file()
    except OSError:  # a folder that may not be looked into
        return False
