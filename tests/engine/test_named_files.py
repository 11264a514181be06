from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine import named_files
from engine.errors import DataError, ModelError
from engine.recipe import Part, Recipe


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images").mkdir()
    np.savez("d.npz", x=np.zeros(3), y=np.zeros(3))
    Path("empty.npz").touch()
    Path("empty.keras").touch()
    Path("m.h5").write_bytes(b"HDF")
    with zipfile.ZipFile("m.keras", "w") as made:
        made.writestr("config.json", "{}")


@pytest.mark.parametrize(
    ("look", "path", "told"),
    [
        (named_files.archive, "none.npz", r"none\.npz: there is no such file\. Give the path of a \.npz file"),
        (named_files.archive, "d.npz/x.npz", "there is no such file"),
        (named_files.archive, "images", "this is a folder, not a .npz file"),
        (named_files.archive, "empty.npz", "this file is empty"),
        (named_files.image_folder, "none", "there is no such folder"),
        (named_files.image_folder, "d.npz", "this is a file, not a folder of images"),
        (named_files.model_file, "none.keras", r"there is no such file\. Give the path of a model saved"),
        (named_files.model_file, "images", "this is a folder, not a .keras file"),
        (named_files.model_file, "empty.keras", "this file is empty"),
        (named_files.model_file, "m.h5", r"this is not a \.keras file"),
        (named_files.model_file, "a\0b.keras", "cannot read it"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(look: Callable[[str], Path], path: str, told: str) -> None:
    with pytest.raises((DataError, ModelError), match=told):
        look(path)


def test_what_may_not_be_read_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:  # root may read everything
        monkeypatch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    else:
        Path("d.npz").chmod(0)
    with pytest.raises(DataError, match="you may not read it"):
        named_files.archive("d.npz")


def test_a_recipe_is_looked_at_whole_its_sweep_too() -> None:
    good = Recipe(name="x", data=Part("npz", {"npz": "d.npz"}), model=Part("file", {"file": "m.keras"}))
    named_files.check(good)
    named_files.check(Recipe(name="x"))
    for sweep in ({"data.npz": ("d.npz", "other.npz")}, {"data": ({"npz": "other.npz"}, "digits")}):
        with pytest.raises(DataError, match=r"other\.npz"):
            named_files.check(Recipe(name="x", data=good.data, sweep=sweep))
    with pytest.raises(ModelError, match=r"other\.keras"):
        named_files.check(Recipe(name="x", model=Part("file", {"file": "other.keras"})))


def test_files_are_whole_paths_for_a_worker_that_stands_elsewhere() -> None:
    given = Recipe(
        name="x",
        data=Part("npz", {"npz": "d.npz", "task": "auto"}),
        model=Part("file", {"file": "~/m.keras"}),
        sweep={"data.npz": ("d.npz",), "model": ({"file": "m.keras"}, "mlp"), "seed": (0, 1)},
    )
    whole, here = named_files.anchored(given), Path.cwd()
    assert whole.data.params == {"npz": str(here / "d.npz"), "task": "auto"}
    assert whole.model.params == {"file": str(Path.home() / "m.keras")}
    assert whole.sweep == {
        "data.npz": (str(here / "d.npz"),),
        "model": ({"file": str(here / "m.keras")}, "mlp"),
        "seed": (0, 1),
    }
    assert named_files.anchored(Recipe(name="x")) == Recipe(name="x")
