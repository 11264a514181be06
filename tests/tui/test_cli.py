"""The command line: what it imports, what it prints, how it refuses, and one tiny run from recipe to exported files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from engine.session import Session
from tui.cli import main
from tui.ending import BAD_INPUT, DONE, UNREAD

COMMANDS = """run resume attach stop presets sessions show schema doctor relay completion
    shrink auto measure export unpack"""
HEAVY = ("tensorflow", "keras", "numpy", "textual", "scipy", "sklearn", "rich")
TINY = """
name: tiny
data: {name: digits, limit: 128}
model: {name: mlp, hidden: [12, 8]}
train: {epochs: 2, batch_size: 32, optimizer: {name: adam, learning_rate: 0.01}}
prune:
  criterion: l2_norm
  granularity: unit
  scope: layer
  schedule: one_shot
  target: {sparsity: 0.5}
  repair: {name: fine_tune, epochs: 1}
measure: {latency: null}
"""


def ask(*words: object) -> Result:
    """The command in this process; whatever it raises but SystemExit is a failure of the test."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


# ---- light commands ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["--help"], ["run", "--help"], ["shrink", "--help"]])
def test_help_and_version_import_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nsys.argv = ['prune-tui', *sys.argv[1:]]\nfrom tui.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)), 'click' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    first, *_, last = done.stdout.splitlines()
    light = words[0] in ("--version", "-V")
    assert first.startswith("prune-tui " if light else "Usage: prune-tui")
    assert last == f"heavy: [] {not light}"  # the version is answered before click is imported


def test_both_ways_tell_the_same_version() -> None:
    from engine import __version__

    assert ask("--version").output == f"prune-tui {__version__}\n"


def test_help_names_every_command() -> None:
    told = ask("--help").output
    for name in main.commands:
        assert name in told
    assert set(COMMANDS.split()) <= set(main.commands)


def test_presets_are_listed_with_family_and_target(repository: Path) -> None:
    rows = json.loads(ask("presets", "--json").output)
    assert {r["name"] for r in rows} == {p.stem for p in (repository / "presets").glob("*.yaml")}
    assert all(r["family"] != "broken" for r in rows)
    assert "gradual-global" in ask("presets").output


def test_no_sessions_yet_says_how_to_begin(tmp_path: Path) -> None:
    told = ask("sessions", "--runs", tmp_path)
    assert told.exit_code == DONE
    assert f"Nothing was run yet in {tmp_path}. Start with: prune-tui run" in told.output
    assert json.loads(ask("sessions", "--runs", tmp_path, "--json").output) == []


def test_the_schema_is_json_and_a_resolved_preset_is_a_recipe(tmp_path: Path) -> None:
    from engine.recipe import load_recipe

    schema = json.loads(ask("schema").output)
    assert {"data", "model", "train", "prune"} <= set(schema["properties"])
    told = ask("schema", "gradual-global", "--set", "prune.target.sparsity=0.95").output
    path = tmp_path / "again.yaml"
    path.write_text(told)
    again = load_recipe(path)
    assert again == load_recipe("gradual-global", overrides={"prune.target.sparsity": 0.95})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_every_shell(shell: str) -> None:
    assert "_PRUNE_TUI_COMPLETE" in ask("completion", shell).output


# ---- bad input -----------------------------------------------------------------------------------------------------


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
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
def test_what_is_missing_comes_with_where_to_find_it(words: list[str], said: str) -> None:
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
    words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_where_one_may_not_write_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    for words in (["auto", "m.keras", "--data", "digits"], ["shrink", "m.keras"]):
        result = ask(*words, "-o", tmp_path / "s.keras")
        assert result.exit_code == BAD_INPUT
        assert f"{tmp_path}: you may not write there" in result.stderr


def test_the_newest_sessions_are_listed_and_how_many_more_there_are(tmp_path: Path) -> None:
    for number in range(45):
        folder = tmp_path / f"2026-01-01T00-00-{number:02}-r"
        folder.mkdir()
        Session(run=folder.name, created=float(number + 1), state="done", recipe={"name": "r"}).save(
            folder / "session.yaml"
        )
    told = ask("sessions", "--runs", tmp_path).output
    assert "00-44-r" in told
    assert "00-04-r" not in told
    assert told.splitlines()[-1] == "5 earlier ones are not shown: -n 45 shows all"
    some = ask("sessions", "--runs", tmp_path, "-n", "2").output
    assert "00-43-r" in some
    assert "00-42-r" not in some
    assert "43 earlier ones" in some
    assert len(json.loads(ask("sessions", "--runs", tmp_path, "--json").output)) == 45
    assert "not shown" not in ask("sessions", "--runs", tmp_path, "-n", "45").output


def test_a_folder_that_cannot_be_written_is_a_sentence(folder: Path) -> None:
    result = ask("shrink", folder / "model.keras", "-o", "/proc/nowhere/small.keras")
    assert result.exit_code == BAD_INPUT
    assert "/proc/nowhere" in result.output


def test_every_mistake_of_a_file_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(TINY.replace("l2_norm", "l2norm").replace("epochs: 2", "epoch: 2"))
    result = ask("run", path, "--runs", tmp_path / "runs")
    assert result.exit_code == BAD_INPUT
    assert "bad.yaml:7:3" in result.stderr
    assert "l2_norm" in result.stderr
    assert "bad.yaml:5:9" in result.stderr
    assert "epochs" in result.stderr


# ---- a run, and what can be done with it ---------------------------------------------------------------------------


def test_a_key_given_twice_hides_no_other_mistake(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: x\nseed: 1\nseed: 2\nmodel: mlpp\n")
    told = ask("run", tmp_path / "x.yaml").output
    assert f"{tmp_path}/x.yaml:3:1: seed: given twice (first in line 2)" in told
    assert "x.yaml:4:1: model: unknown model 'mlpp' (did you mean mlp?)" in told


def test_a_wrong_override_is_not_said_to_stand_in_the_file() -> None:
    assert ask("run", "gradual-global", "--set", "prun.x=1").output == (
        "prune-tui: --set prun.x: prun: unknown key 'prun' (did you mean prune?)\n"
    )


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
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


def test_the_doctor_tells_which_data_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tui.commands.doctor import _data

    (tmp_path / "mnist.npz").touch()
    (tmp_path / "home" / "datasets" / "cifar-10-batches-py").mkdir(parents=True)
    monkeypatch.setenv("PRUNE_TUI_DATA", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    told = dict(_data())
    assert told["  ready"] == f"digits, mnist ({tmp_path}), cifar10 ({tmp_path / 'home' / 'datasets'})"
    assert told["  not here"] == "fashion_mnist, cifar100: downloaded on first use"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def folder(runs: Path) -> Path:
    """One run of the tiny recipe by the command, its worker a process of its own."""
    recipe = runs.parent / "tiny.yaml"
    recipe.write_text(TINY)
    result = CliRunner().invoke(main, ["run", str(recipe), "--runs", str(runs), "--set", "seed=3", "--json"])
    assert result.exit_code == DONE, result.output
    *lines, last = result.stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert events[-1]["type"] == "finished"
    assert events[-1]["state"] == "done"
    numbers = [e["seq"] for e in events if e.get("seq")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert Path(last).name == "session.yaml"
    return Path(last).parent


def test_the_last_line_names_the_session(folder: Path, runs: Path) -> None:
    assert folder.parent == runs
    session = Session.load(folder)
    assert session.state == "done"
    assert session.recipe["seed"] == 3
    assert session.counts.units == 20
    assert session.counts.units_kept == 10
    assert session.pruned["counts"]["parameters"] == 64 * 6 + 6 + 6 * 4 + 4 + 4 * 10 + 10
    assert (folder / "model.keras").is_file()


def test_a_run_is_listed_and_shown(folder: Path, runs: Path) -> None:
    [row] = json.loads(ask("sessions", "--runs", runs, "--json").output)
    assert row["folder"] == str(folder)
    assert row["state"] == "done"
    shown = ask("show", "last", "--runs", runs).output
    for words in ("tiny", "done", "50.0%", "dense_1/kernel", "session.yaml"):
        assert words in shown
    assert ask("show", "last", "--runs", runs, "--yaml").output == (folder / "session.yaml").read_text()


def test_attaching_to_a_run_that_ended_replays_it(folder: Path, runs: Path) -> None:
    *lines, last = ask("attach", folder.name, "--runs", runs, "--json").output.splitlines()
    assert json.loads(lines[-1])["type"] == "finished"
    assert last == str(folder / "session.yaml")
    assert "validation" in ask("attach", "last", "--runs", runs).output


def test_a_result_is_exported_and_unpacked_bit_by_bit(folder: Path, runs: Path, tmp_path: Path) -> None:
    import keras

    told = ask("export", "last", "--runs", runs, "--format", "packed", "--format", "keras")
    assert told.exit_code == DONE, told.output
    [packed] = [p for p in (folder / "exports").iterdir() if p.suffix != ".keras"]
    assert str(packed) in told.output
    out = tmp_path / "again.keras"
    assert ask("unpack", packed, "-o", out).output.splitlines()[-1] == str(out)
    first, again = (keras.models.load_model(p, compile=False) for p in (folder / "model.keras", out))
    for one, other in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_result_of_a_run_is_shrunk_and_measured_by_the_runs_name(folder: Path, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.keras"
    assert ask("shrink", "tiny", "-o", out, "--runs", runs).exit_code == DONE
    words = ("measure", out, "--against", "last", "--runs", runs, "--batch", "4", "--json")
    assert json.loads(ask(*words).stdout)["reference"] is not None
    missing = ask("measure", "tine", "--runs", runs)
    assert missing.exit_code == BAD_INPUT
    assert "no such file, and no run of that name (did you mean tiny?)" in missing.stderr


def test_a_model_file_is_shrunk_and_measured_beside_the_old(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.keras"
    told = ask("shrink", folder / "model.keras", "-o", out, "--sparsity", "0.5", "--criterion", "l1_norm")
    assert told.exit_code == DONE, told.output
    assert told.output.splitlines()[-1] == str(out)
    words = ("measure", out, "--against", folder / "model.keras", "--data", "digits", "--batch", "4", "--json")
    found = json.loads(ask(*words).output)
    assert found["counts"]["parameters"] == 64 * 3 + 3 + 3 * 2 + 2 + 2 * 10 + 10  # 12 and 8 units halved twice
    assert found["latency"][0]["batch_size"] == 4
    assert found["latency"][0]["speedup"] > 0
    assert 0 <= found["metric"]["value"] <= 1


def test_nothing_that_is_there_is_written_over_unasked(folder: Path, tmp_path: Path) -> None:
    model, other = tmp_path / "m.keras", tmp_path / "m.packed"
    model.write_bytes((folder / "model.keras").read_bytes())
    other.write_bytes(b"mine")
    for words in (
        ("export", model, "--format", "packed"),
        ("export", model, "--format", "packed", "-o", other),
        ("shrink", model, "-o", folder / "model.keras"),
        ("auto", model, "--data", "digits", "-o", folder / "model.keras"),
        ("unpack", other, "-o", model),
    ):
        told = ask(*words)
        assert told.exit_code != DONE
        assert "there is a file of that name already" in told.output, words
    assert "the file it comes from" in ask("export", model, "--format", "keras").output
    assert other.read_bytes() == b"mine"
    told = ask("export", model, "--format", "packed", "--force")
    assert told.exit_code == DONE, told.output
    told = ask("export", model, "--format", "packed", "-o", tmp_path / "not" / "yet" / "m.packed")
    assert told.exit_code == DONE, told.output
    assert (tmp_path / "not" / "yet" / "m.packed").read_bytes() == other.read_bytes()
    assert ask("unpack", other, "--force").exit_code == DONE
    assert (
        "there is no export format named 'onx'" in ask("export", folder, "--format", "packed", "--format", "onx").output
    )


def test_help_names_every_export_format() -> None:
    from engine.exporting import formats
    from tui.cli import FORMATS

    assert set(FORMATS.split(", ")) == set(formats.FORMATS)


def test_a_model_that_answers_no_number_is_measured_in_words(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.layers[-1].kernel.assign(np.full((64, 10), np.nan))
    model.save(tmp_path / "m.keras")
    words = ("measure", tmp_path / "m.keras", "--data", "digits", "--batch", "1")
    found = json.loads(ask(*words, "--json").output, parse_constant=pytest.fail)
    assert found["loss"] == "nan"
    told = ask(*words)
    assert told.exit_code == DONE, told.output
    assert "nan" in told.output
