"""Finds and reads presets: those that ship (from a wheel or a checkout) and those that the user saved."""

from __future__ import annotations

import os
from pathlib import Path

from engine.errors import RecipeError, near
from engine.yaml12 import Document, parse

_HERE = Path(__file__).resolve().parent
SUFFIXES = (".yaml", ".yml")
FAMILIES = ("Weights", "Units", "By itself", "At initialisation", "Experiments")


def shipped_folder() -> Path:
    """Where the presets that ship are: inside the installed package, or beside it in a checkout."""
    inside = _HERE / "_presets"
    return inside if inside.is_dir() else _HERE.parent / "presets"


def user_folder() -> Path:
    """Where a user's own presets are kept."""
    from platformdirs import user_config_path

    return user_config_path("prune-tui") / "presets"


def paths() -> dict[str, Path]:
    """Every preset by name: the shipped ones as `order.txt` says, then the user's, which win where names meet."""
    found: dict[str, Path] = {}
    for folder in (shipped_folder(), user_folder()):
        if folder.is_dir():
            found |= {p.stem: p for p in sorted(folder.iterdir()) if p.suffix in SUFFIXES}
    try:
        order = (shipped_folder() / "order.txt").read_text(encoding="utf-8").split()
    except OSError:
        order = []
    place = {name: number for number, name in enumerate(order)}
    return dict(sorted(found.items(), key=lambda item: place.get(item[0], len(place))))


def read(path: str | Path) -> Document:
    """Reads a recipe file, or a preset by its name.

    Raises:
        RecipeError: there is no such file or preset, or it is not YAML. What else is wrong with the text is left in the
            document's `problems`, so that `recipe_from` can tell all at once.
    """
    file, name = Path(path), str(path)
    if not name:
        raise RecipeError(["a preset needs a name (`prune-tui presets` lists them)"])
    if not os.path.isfile(name):  # pathlib's own raises on names too long, and on folders that one may not look into
        known = paths()
        if name in known:
            file = known[name]
            name = file.name
        elif os.path.isdir(name):
            raise RecipeError([f"{path}: this is a folder; name the recipe's file in it"])
        else:
            close = near(str(path), known)
            hint = f"did you mean {' or '.join(close)}?" if close else "`prune-tui presets` lists the presets"
            raise RecipeError([f"{path}: there is no such file, and no preset of that name ({hint})"])
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError([f"{file}: cannot be read: it is not UTF-8 text (see its byte {error.start + 1})"]) from None
    except OSError as error:
        raise RecipeError([f"{file}: cannot be read: {error.strerror or error}"]) from None
    return parse(text, name, lenient=True)
