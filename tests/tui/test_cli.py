"""The command line: what it imports, what it prints, and one tiny run from recipe to exported files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from engine.session import Session
from tui.cli import main
from tui.ending import BAD_INPUT, DONE

COMMANDS = """run resume attach stop presets sessions show schema doctor relay completion
    shrink auto measure export unpack"""
Ask = Callable[..., Result]
HEAVY = ("tensorflow", "keras", "numpy", "textual", "scipy", "sklearn", "rich")


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


def test_both_ways_tell_the_same_version(ask: Ask) -> None:
    from engine import __version__

    assert ask("--version").output == f"prune-tui {__version__}\n"


def test_help_names_every_command(ask: Ask) -> None:
    told = ask("--help").output
    for name in main.commands:
        assert name in told
    assert set(COMMANDS.split()) <= set(main.commands)


def test_presets_are_listed_with_family_and_target(repository: Path, ask: Ask) -> None:
    rows = json.loads(ask("presets", "--json").output)
    assert {r["name"] for r in rows} == {p.stem for p in (repository / "presets").glob("*.yaml")}
    assert all(r["family"] != "broken" for r in rows)
    assert "gradual-global" in ask("presets").output


def test_no_sessions_yet_says_how_to_begin(tmp_path: Path, ask: Ask) -> None:
    told = ask("sessions", "--runs", tmp_path)
    assert told.exit_code == DONE
    assert f"Nothing was run yet in {tmp_path}. Start with: prune-tui run" in told.output
    assert json.loads(ask("sessions", "--runs", tmp_path, "--json").output) == []


def test_the_schema_is_json_and_a_resolved_preset_is_a_recipe(tmp_path: Path, ask: Ask) -> None:
    from engine.recipe import load_recipe

    schema = json.loads(ask("schema").output)
    assert {"data", "model", "train", "prune"} <= set(schema["properties"])
    told = ask("schema", "gradual-global", "--set", "prune.target.sparsity=0.95").output
    path = tmp_path / "again.yaml"
    path.write_text(told)
    again = load_recipe(path)
    assert again == load_recipe("gradual-global", overrides={"prune.target.sparsity": 0.95})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_every_shell(shell: str, ask: Ask) -> None:
    assert "_PRUNE_TUI_COMPLETE" in ask("completion", shell).output


# ---- bad input -----------------------------------------------------------------------------------------------------


def test_the_newest_sessions_are_listed_and_how_many_more_there_are(tmp_path: Path, ask: Ask) -> None:
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


def test_a_folder_that_cannot_be_written_is_a_sentence(folder: Path, ask: Ask) -> None:
    result = ask("shrink", folder / "model.keras", "-o", "/proc/nowhere/small.keras")
    assert result.exit_code == BAD_INPUT
    assert "/proc/nowhere" in result.output


# ---- a run, and what can be done with it ---------------------------------------------------------------------------


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
def folder(runs: Path, tiny: str, ask: Ask) -> Path:
    """One run of the tiny recipe by the command, its worker a process of its own."""
    recipe = runs.parent / "tiny.yaml"
    recipe.write_text(tiny)
    result = ask("run", recipe, "--runs", runs, "--set", "seed=3", "--json")
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


def test_a_run_is_listed_and_shown(folder: Path, runs: Path, ask: Ask) -> None:
    [row] = json.loads(ask("sessions", "--runs", runs, "--json").output)
    assert row["folder"] == str(folder)
    assert row["state"] == "done"
    shown = ask("show", "last", "--runs", runs).output
    for words in ("tiny", "done", "50.0%", "dense_1/kernel", "session.yaml"):
        assert words in shown
    assert ask("show", "last", "--runs", runs, "--yaml").output == (folder / "session.yaml").read_text()


def test_attaching_to_a_run_that_ended_replays_it(folder: Path, runs: Path, ask: Ask) -> None:
    *lines, last = ask("attach", folder.name, "--runs", runs, "--json").output.splitlines()
    assert json.loads(lines[-1])["type"] == "finished"
    assert last == str(folder / "session.yaml")
    assert "validation" in ask("attach", "last", "--runs", runs).output


def test_a_result_is_exported_and_unpacked_bit_by_bit(folder: Path, runs: Path, tmp_path: Path, ask: Ask) -> None:
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


def test_the_result_of_a_run_is_shrunk_and_measured_by_the_runs_name(
    folder: Path, runs: Path, tmp_path: Path, ask: Ask
) -> None:
    out = tmp_path / "small.keras"
    assert ask("shrink", "tiny", "-o", out, "--runs", runs).exit_code == DONE
    words = ("measure", out, "--against", "last", "--runs", runs, "--batch", "4", "--json")
    assert json.loads(ask(*words).stdout)["reference"] is not None
    missing = ask("measure", "tine", "--runs", runs)
    assert missing.exit_code == BAD_INPUT
    assert "no such file, and no run of that name (did you mean tiny?)" in missing.stderr


def test_a_model_file_is_shrunk_and_measured_beside_the_old(folder: Path, tmp_path: Path, ask: Ask) -> None:
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


def test_nothing_that_is_there_is_written_over_unasked(folder: Path, tmp_path: Path, ask: Ask) -> None:
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


def test_a_model_that_answers_no_number_is_measured_in_words(tmp_path: Path, ask: Ask) -> None:
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
