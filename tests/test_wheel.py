"""What is installed is what was tested: a wheel carries both packages and the presets, found from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's contents, unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    repository = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=repository, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, code: str, cwd: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_presets_are_found_from_any_folder(site: Path, tmp_path: Path, repository: Path) -> None:
    code = "import engine.presets as p; print(p.shipped_folder()); print(*p.paths())"
    where, names = run(site, code, tmp_path).splitlines()
    assert Path(where) == site / "engine" / "_presets"
    assert set(names.split()) == {p.stem for p in (repository / "presets").glob("*.yaml")}


def test_the_command_runs_and_lists_them(site: Path, tmp_path: Path) -> None:
    listed = run(site, "import sys; sys.argv = ['prune-tui', 'presets']; from tui.cli import main; main()", tmp_path)
    assert "gradual-global" in listed


def test_neither_tests_nor_benchmarks_are_in_it(site: Path) -> None:
    assert sorted(p.name for p in site.iterdir() if p.suffix != ".dist-info") == ["engine", "tui"]
