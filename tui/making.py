"""Artefacts made of a session, by the command line in a process of its own: the app imports no TensorFlow for it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import PruneError

FORMATS: tuple[tuple[str, str, str], ...] = (
    ("k", "the model, packed: the smallest file", "packed"),
    ("l", "the model for LiteRT", "litert"),
    ("s", "the model for LiteRT, sparse", "litert_sparse"),
    ("8", "the model for LiteRT, int8", "litert_int8"),
    ("h", "a report, one HTML page", "report"),
)


async def make(folder: Path, kind: str, recipe: Mapping[str, Any]) -> str:
    """Makes one artefact in the run's `exports`, loads it again and compares it; gives what to say about it.

    Raises:
        PruneError: it could not be made; says why.
    """
    if kind == "report":
        command = ["report", str(folder), "-o", str(folder / "exports" / "report.html")]
    else:
        command = ["export", str(folder), "--format", kind, *_data(recipe)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "tui", *command,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, wrong = await process.communicate()
    if process.returncode:
        last = wrong.decode(errors="replace").strip().splitlines() or [f"exit status {process.returncode}"]
        raise PruneError(last[-1].removeprefix("prune-tui: "))
    return " ".join(said.decode(errors="replace").split())


def _data(recipe: Mapping[str, Any]) -> list[str]:
    """The data to compare on, where a word says it all."""
    data = recipe.get("data")
    name = data.get("name") if isinstance(data, Mapping) else data
    return ["--data", name] if isinstance(name, str) and name not in ("npz", "folder") else []
