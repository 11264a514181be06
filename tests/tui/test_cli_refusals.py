"""The command line refuses: what is wrong, where, and what to do, with exit code 2 and before anything is begun."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tui.ending import BAD_INPUT, UNREAD

Ask = Callable[..., Result]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "gradual-globel"], "gradual-global"),
        (["run", "gradual-global", "--set", "prune.target.sparsty=0.5"], "sparsity"),
        (["run", "gradual-global", "--set", "prune.target.sparsity=2"], "prune.target.sparsity"),
        (["run", "gradual-global", "--set", "nonsense"], "nonsense"),
        (["schema", "no-such-preset"], "no-such-preset"),
        (["show", "no-such-run"], "no-such-run"),
        (["stop", "no-such-run"], "no-such-run"),
        (["resume", "no-such-run"], "no-such-run"),
        (["measure", "nothing.keras"], "nothing.keras"),
        (["shrink", "nothing.keras", "-o", "small.h5"], "small.h5"),
        (["unpack", "nothing.packed"], "nothing.packed"),
        (["frobnicate"], "frobnicate"),
        (["run"], "PRESET"),
    ],
)
def test_bad_input_ends_with_2_and_a_sentence(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRUNE_TUI_RUNS", str(tmp_path / "runs"))
    result = ask(*words)
    assert result.exit_code == BAD_INPUT
    assert told in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "runs").exists()  # nothing was begun


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "prune-tui presets"),
        (["attach"], "`last` is the newest"),
        (["export", "last"], "keras, packed"),
        (["auto", "m.keras"], "a folder of images"),
    ],
)
def test_what_is_missing_comes_with_where_to_find_it(words: list[str], said: str, ask: Ask) -> None:
    result = ask(*words)
    assert result.exit_code == BAD_INPUT
    assert said in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run gradual-global --set data.npz=none.npz", "none.npz: there is no such file. Give the path of a .npz file"),
        ("run gradual-global --set data.npz=words.txt", "words.txt: this is not a .npz file"),
        ("run gradual-global --set data.folder=folder", "folder: there are not two classes here"),
        ("run gradual-global --set model.file=none.keras", "none.keras: there is no such file"),
        ("run empty.yaml", "empty.yaml:1:1: this is empty; a recipe is a mapping of keys"),
        ("sessions --runs none", "none: there is no such folder"),
        ("measure folder", "folder: this is a folder, neither a run's nor a model"),
        (
            "measure m.keras --data digit",
            "digit: there is no such .npz file or folder of images, and no data set of that",
        ),
        ("measure m.keras --data words.txt", "words.txt: this is neither a .npz file nor a folder of images"),
        ("auto m.keras --data digits", "m.keras: this is not a .keras file"),
        ("auto m.keras --data digits -o small.h5", "small.h5: a model goes into a .keras file"),
        (
            "shrink m.keras -o s.keras --criterion snip",
            "the criterion snip looks at data, and none were given. Add --data",
        ),
        ("shrink m.keras -o words.txt/s.keras", "words.txt: this is a file, not a folder"),
        ("shrink m.keras -o folder.keras --force", "folder.keras: there is a folder of that name already"),
        ("unpack folder", "folder: this is a folder, not a packed file"),
        ("unpack m.keras", "m.keras: this is no packed model"),
    ],
)
def test_a_wrong_file_is_told_with_its_name_before_anything_is_begun(
    words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRUNE_TUI_RUNS", str(tmp_path / "runs"))
    Path("words.txt").write_text("just words")
    Path("m.keras").write_text("just words")
    Path("empty.yaml").touch()
    Path("folder").mkdir()
    Path("folder.keras").mkdir()
    result = ask(*words.split())
    assert result.exit_code == BAD_INPUT
    assert told in result.stderr
    assert not Path("runs").exists()


def test_where_one_may_not_write_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    for words in (["auto", "m.keras", "--data", "digits"], ["shrink", "m.keras"]):
        result = ask(*words, "-o", tmp_path / "s.keras")
        assert result.exit_code == BAD_INPUT
        assert f"{tmp_path}: you may not write there" in result.stderr


def test_every_mistake_of_a_file_is_told_with_its_place(tmp_path: Path, ask: Ask, tiny: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(tiny.replace("l2_norm", "l2norm").replace("epochs: 2", "epoch: 2"))
    result = ask("run", path, "--runs", tmp_path / "runs")
    assert result.exit_code == BAD_INPUT
    assert "bad.yaml:7:3" in result.stderr
    assert "l2_norm" in result.stderr
    assert "bad.yaml:5:9" in result.stderr
    assert "epochs" in result.stderr


def test_a_key_given_twice_hides_no_other_mistake(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "x.yaml").write_text("name: x\nseed: 1\nseed: 2\nmodel: mlpp\n")
    told = ask("run", tmp_path / "x.yaml").output
    assert f"{tmp_path}/x.yaml:3:1: seed: given twice (first in line 2)" in told
    assert "x.yaml:4:1: model: unknown model 'mlpp' (did you mean mlp?)" in told


def test_a_wrong_override_is_not_said_to_stand_in_the_file(ask: Ask) -> None:
    assert ask("run", "gradual-global", "--set", "prun.x=1").output == (
        "prune-tui: --set prun.x: prun: unknown key 'prun' (did you mean prune?)\n"
    )


def test_a_folder_is_no_recipe(tmp_path: Path, ask: Ask) -> None:
    assert "this is a folder; name the recipe's file in it" in ask("run", tmp_path).output
    assert "a preset needs a name" in ask("run", "").output


def test_the_app_without_a_terminal_says_so_and_ends(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == BAD_INPUT
    assert done.stderr.startswith("prune-tui: the app needs a terminal")
    assert done.stdout == ""


def test_a_reader_that_leaves_is_no_failure() -> None:
    words = [sys.executable, "-m", "tui", "schema"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # before anything is written
    assert process.wait(30) == UNREAD
    assert process.stderr.read() == b""
    process.stderr.close()
