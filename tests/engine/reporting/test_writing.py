"""Reports of sessions: every number of the session is in them, and nothing breaks where there is none."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from engine.errors import PruneError
from engine.events import Counts, EpochEnded, LayerState
from engine.reporting import report, write_report
from engine.session import Session

LATENCY = {"batch_size": 1, "median": 0.25, "low": 0.2, "high": 0.3, "minimum": 0.19, "repeats": 30}
COUNTS = {"parameters": 1000, "nonzero": 234, "prunable": 900, "prunable_nonzero": 134, "units": 30, "units_alive": 28}
SIZES = {"bytes_raw": 4000, "bytes_nonzero": 936, "bytes_compressed": 1234}


def measured(accuracy: float) -> dict:
    metric = {"name": "accuracy", "direction": "max", "value": accuracy}
    return {"counts": {**COUNTS, **SIZES}, "metric": metric, "loss": 0.123, "flops": 2000, "effective_flops": 468}


def interval(difference: float) -> dict:
    return {"before": 0.97, "after": 0.95, "difference": difference, "low": -0.031, "high": -0.009, "samples": 360}


def session(seed: int = 0, accuracy: float = 0.95, kept: int = 134) -> Session:
    recipe = {"schema": 1, "name": "gradual", "title": "A <title>", "prune": {"criterion": "magnitude"}, "seed": seed}
    comparison = {
        "agreement": 0.96,
        "accuracy": interval(-0.02),
        "lost": 9,
        "gained": 2,
        "p_value": 0.0654,
        "classes": [{"label": 7, "recall": interval(-0.021)}],
        "confidence": 0.95,
        "method": "Newcombe",
    }
    pruned = {
        **measured(accuracy),
        "latency": [{**LATENCY, "speedup": 0.87}],
        "theoretical_speedup": 4.27,
        "comparison": comparison,
        "reference": {"latency": [{**LATENCY, "median": 0.22}]},
        "runtime": "TensorFlow 2.21.0",
        "threads": 2,
        "device": "a processor",
    }
    epochs = tuple(
        EpochEnded(epoch=i, phase="training", loss=1.0 / (i + 1), metric=0.9, validation=0.9 + i / 100, sparsity=i / 4)
        for i in range(4)
    )
    return Session(
        run=f"run-{seed}",
        state="done",
        recipe=recipe,
        environment={"tensorflow": "2.21.0", "python": "3.11"},
        counts=Counts(weights=900, weights_kept=kept),
        layers=(LayerState(key="dense/kernel", shape=(30, 30), weights=900, kept=kept, units=30, units_kept=28),),
        epochs=epochs,
        control=epochs,
        dense=measured(0.97),
        pruned=pruned,
        warnings=("dense_2 became empty",),
    )


def test_every_number_is_there():
    for page in (report([session()]), report([session()], format="md")):
        for said in (
            "0.95", "0.97", "1,000", "234", "1.2 kB", "2,000", "468", "0.87x", "4.27x", "0.22", "0.25", "0.2 to 0.3",
            "96.00 %", "-2.00 points", "-3.10 points", "Newcombe", "0.0654", "30 x 30", "28 of 30", "85.11 %", "2.21.0",
            "a processor", "prune-tui run recipe.yaml", "criterion: magnitude",
        ):  # fmt: skip
            assert said in page, said
    assert "A &lt;title&gt;" in report([session()])


def test_a_recipe_is_told_as_a_sentence():
    recipe = {
        "schema": 1,
        "name": "one",
        "data": "digits",
        "model": "mlp",
        "prune": {"criterion": "magnitude", "target": {"sparsity": 0.9}},
    }
    page = report([msgspec.structs.replace(session(), recipe=recipe)], format="md")
    assert "magnitude" in page.split("```")[0]
    assert "90 %" in page.split("```")[0]


def test_speed_and_theory_stand_side_by_side():
    page = report([session()], format="md")
    head = next(line for line in page.splitlines() if "measured speed-up" in line)
    assert "theoretical (FLOPs)" in head


def test_several_runs_get_an_overview_with_mean_and_deviation():
    page = report([session(0, 0.95), session(1, 0.93), session(2, 0.94)], format="md")
    assert "# 3 runs" in page
    row = next(line for line in page.splitlines() if line.startswith("| gradual | 3 |"))
    assert row == "| gradual | 3 | 0.94 | 0.01 |"  # of 0.95, 0.93, 0.94
    assert report([session(0), session(1)]).count("<svg") == 3 + 2 * 3


def test_an_empty_and_a_failed_session_are_reported_as_what_they_are():
    failed = Session(
        run="r",
        state="failed",
        words="out of memory",
        where="step 3",
        todo="Take a smaller batch",
        recipe={"name": "x"},
    )
    assert "This run is not done: failed. out of memory. step 3. Take a smaller batch." in report([failed])
    odd = msgspec.structs.replace(session(), pruned={"metric": {"value": None}, "latency": [{}]}, dense={})
    assert "gradual" in report([odd])
    with pytest.raises(PruneError, match="no session"):
        report([])


def test_what_is_no_number_is_said_and_not_drawn():
    lost = msgspec.structs.replace(session(1), pruned={**session().pruned, **measured(0.0)})
    lost.pruned["metric"] = {"name": "accuracy", "direction": "max", "value": "nan"}
    lost.pruned["loss"] = "inf"
    for page in (report([session(), lost]), report([session(), lost], format="md"), report([lost, lost])):
        assert "nan" in page
        assert "inf" in page
    assert '="nan' not in report([session(), lost])  # no such place in a picture


def test_tables_that_methods_add_are_there():
    told = msgspec.structs.replace(
        session(),
        results={
            "sweep": [{"seed": 1, "sparsity": 0.25, "accuracy": 0.5}, {"sparsity": 0.5, "accuracy": "nan", "ok": True}],
            "sensitivity": {
                "metric": "accuracy", "dense": 0.97, "sparsities": [0.5, 0.9],
                "table": {"dense/kernel": {"0.5": 0.96, "0.9": 0.31}},
            },
            "agreement": 0.875,
            "histograms": {"dense/kernel": {"counts": [1, 2]}},
        },
    )  # fmt: skip
    page = report([told], format="md")
    assert "| seed | sparsity | accuracy | ok |" in page
    assert "| 1 | 25.00 % | 0.5 | - |" in page
    assert "| - | 50.00 % | nan | yes |" in page
    assert "| dense/kernel | 0.96 | 0.31 |" in page
    assert "accuracy with one layer pruned alone (dense 0.97)" in page
    assert "on 87.50 % of the validation inputs" in page
    assert report([told]).count("<svg") == report([session()]).count("<svg")  # one point makes no line


def test_one_seed_run_twice_is_one_seed():
    page = report([session(0, 0.95), session(0, 0.93), session(1, 0.91)], format="md")
    assert "| gradual | 2 | 0.92 | 0.01414 |" in page  # of 0.93 and 0.91
    assert "Over seeds" not in report([session(0), session(0)], format="md")


def test_files(tmp_path):
    session().save(tmp_path / "run" / "session.yaml")
    for name in ("report.html", "report.md"):
        assert write_report([tmp_path / "run", session(1)], tmp_path / name) == tmp_path / name
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert (tmp_path / "report.md").read_text().startswith("# 2 runs")
    with pytest.raises(PruneError, match="HTML or Markdown"):
        write_report([session()], tmp_path / "report.pdf")
    with pytest.raises(PruneError, match="no session can be read"):
        write_report([tmp_path / "none"], tmp_path / "report.md")


def test_a_report_loads_neither_tensorflow_nor_numpy():
    code = "import sys, engine.reporting; print([m for m in ('tensorflow', 'keras', 'numpy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
