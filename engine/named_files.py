"""The files that a recipe names: looked at before a worker is started, and written as whole paths for it.

Nothing heavy is imported here, so that a wrong path is answered at once. What only TensorFlow or Keras can tell (a
damaged image, a layer of the user's own) is found when the file is loaded.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.errors import DataError, ModelError, PruneError
from engine.recipe import Part, Recipe

_SAVED = "Give the path of a model saved with model.save('NAME.keras')"
_ARCHIVE = "Give the path of a .npz file, saved with np.savez"
_IMAGES = "Give a folder with a folder of images for each class, or with train and test folders of such"


def model_file(path: str | Path) -> Path:
    """The place of a `.keras` file, looked at from outside.

    Raises:
        ModelError: there is none, it cannot be read, or it is something else.
    """
    place = _there(path, ModelError, what="file", todo=_SAVED)
    if place.is_dir():
        raise ModelError("this is a folder, not a .keras file", where=str(path), todo=_SAVED)
    if place.suffix != ".keras" or not zipfile.is_zipfile(place):
        empty = "this file is empty" if place.stat().st_size == 0 else "this is not a .keras file"
        raise ModelError(
            empty, where=str(path), todo="Load it where it was made and save it with model.save('NAME.keras')"
        )
    return place


def archive(path: str | Path) -> Path:
    """The place of a `.npz` file, looked at from outside.

    Raises:
        DataError: there is none, it cannot be read, or it is something else.
    """
    place = _there(path, DataError, what="file", todo=_ARCHIVE)
    if place.is_dir():
        raise DataError(
            "this is a folder, not a .npz file", where=str(path), todo="Is it one of images? Name it folder:"
        )
    with place.open("rb") as file:
        begins = file.read(4)
    if not begins:
        raise DataError("this file is empty", where=str(path), todo="Save it again with np.savez")
    if not begins.startswith((b"PK", b"\x93NUM")):  # a single array of np.save is answered by whoever loads it
        raise DataError("this is not a .npz file", where=str(path), todo="Save the arrays with np.savez")
    return place


def image_folder(path: str | Path) -> Path:
    """The place of a folder of images, looked at from outside.

    Raises:
        DataError: there is none, it cannot be read, or it is a file.
    """
    place = _there(path, DataError, what="folder", todo=_IMAGES)
    if not place.is_dir():
        raise DataError("this is a file, not a folder of images", where=str(path), todo=_IMAGES)
    classes(place / "train" if (place / "train").is_dir() else place)
    return place


def classes(folder: Path) -> tuple[str, ...]:
    """The classes of a folder of images: its subfolders, in alphabetical order.

    Raises:
        DataError: there are not two.
    """
    there = folder.iterdir() if folder.is_dir() else ()
    names = tuple(sorted(p.name for p in there if p.is_dir() and not p.name.startswith(".")))
    if len(names) < 2:
        raise DataError(
            "there are not two classes here", where=str(folder), todo="Put the images into one subfolder a class"
        )
    return names


# By key of a part: `data: {npz: ...}`, `data: {folder: ...}`, `model: {file: ...}`.
_LOOKS: Mapping[str, Callable[[str | Path], Path]] = {"npz": archive, "folder": image_folder, "file": model_file}


def look(params: Mapping[str, Any]) -> None:
    """Looks at the files among a part's parameters.

    Raises:
        DataError, ModelError: one is not there, cannot be read, or is something else.
    """
    for key, value in params.items():
        if key in _LOOKS and isinstance(value, str):
            _LOOKS[key](value)


def check(recipe: Recipe) -> None:
    """Looks at every file that a recipe names, its sweep's included.

    Raises:
        DataError, ModelError: the first one that is not there, cannot be read, or is something else.
    """

    def looked(key: str, value: str) -> str:
        look({key: value})
        return value

    _each(recipe, looked)


def anchored(recipe: Recipe) -> Recipe:
    """The recipe with the files that it names as whole paths: the worker stands in another folder."""
    return _each(recipe, lambda _, value: str(Path(value).expanduser().absolute()))


def _each(recipe: Recipe, act: Callable[[str, str], str]) -> Recipe:
    def values(given: Mapping[str, Any]) -> dict[str, Any]:
        return {k: act(k, v) if k in _LOOKS and isinstance(v, str) else v for k, v in given.items()}

    def part(given: Part) -> Part:
        new = values(given.params)
        return Part(given.name, new) if new != given.params else given

    def point(key: str, value: Any) -> Any:
        head, _, last = key.partition(".")
        if head not in ("data", "model"):
            return value
        if not last:
            return values(value) if isinstance(value, Mapping) else value
        return values({last: value})[last]

    sweep = {key: tuple(point(key, value) for value in axis) for key, axis in recipe.sweep.items()}
    return msgspec.structs.replace(recipe, data=part(recipe.data), model=part(recipe.model), sweep=sweep)


def _there(path: str | Path, error: type[PruneError], *, what: str, todo: str) -> Path:
    place = Path(path).expanduser()
    try:
        if place.is_dir():
            next(place.iterdir(), None)
        else:
            place.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"there is no such {what}", where=str(path), todo=todo) from None
    except PermissionError:
        raise error("you may not read it", where=str(path), todo="Change its permissions, or copy it") from None
    except (OSError, ValueError) as problem:
        said = getattr(problem, "strerror", None) or str(problem)
        raise error(f"cannot read it: {said}", where=str(path), todo=todo) from None
    return place
