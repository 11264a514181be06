"""`doctor`: what this machine has and what is missing, with what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata, util

from engine import __version__, folders, presets


def doctor() -> int:
    """Prints facts and problems; exit code 1 when something needed is missing."""
    problems: list[str] = []
    _say("prune-tui", __version__)
    _say("python", f"{platform.python_version()} ({sys.executable})")
    for name in ("tensorflow", "keras", "textual", "numpy", "scipy", "scikit-learn", "msgspec"):
        try:
            _say(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            problems.append(f"{name} is not installed; install prune-tui again")
    for name, what in (("tf2onnx", "ONNX export"), ("onnxruntime", "ONNX in the table of runtimes")):
        _say(name, metadata.version(name) if util.find_spec(name) else f"not installed (only needed for {what})")
    try:
        _say("devices", _devices())
    except Exception as error:  # whatever breaks TensorFlow's import is what the doctor is asked for
        problems.append(f"TensorFlow cannot be imported: {error}")
    _say("cpus", str(os.cpu_count()))
    runs = folders.runs_folder()
    _say(
        "runs",
        f"{runs} ({len(folders.listed(runs))} so far, {shutil.disk_usage(_existing(runs)).free / 1e9:.0f} GB free)",
    )
    _say("presets", f"{presets.shipped_folder()} and {presets.user_folder()}")
    if not presets.paths():
        problems.append("no presets were found; install prune-tui again")
    for what, words in _data():
        _say(what, words)
    _say("terminal", f"{os.environ.get('TERM', '')} {os.environ.get('COLORTERM', '')}".strip())
    for problem in problems:
        _say("problem", problem)
    return 1 if problems else 0


def _devices() -> str:
    # Native code writes to the standard error of the process, whatever Python thinks it is.
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        from engine.running.executing import environment

        return ", ".join(name.removeprefix("/physical_device:") for name in environment()["devices"])
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _data() -> list[tuple[str, str]]:
    """Which data sets are ready here, and what becomes of the others."""
    from engine.data.published import FOLDER, NATIVE, cache, kept

    given = os.environ.get(FOLDER)
    said = f"{given}{'' if os.path.isdir(given) else ' (there is no such folder)'}" if given else "not set"
    places = {name: kept(name) for name in NATIVE}
    ready = [f"{name} ({place})" for name, place in places.items() if place is not None]
    rows = [("data", f"{FOLDER} is {said}; Keras' cache is {cache()}"), ("  ready", ", ".join(["digits", *ready]))]
    missing = [name for name, place in places.items() if place is None]
    return [*rows, ("  not here", f"{', '.join(missing)}: downloaded on first use")] if missing else rows


def _existing(path: os.PathLike[str]) -> str:
    text = os.fspath(path)
    while not os.path.isdir(text):
        text = os.path.dirname(text) or "."
    return text


def _say(what: str, value: str) -> None:
    print(f"{what:<14} {value}")  # noqa: T201 - a command's output
