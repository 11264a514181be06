import subprocess
import sys
import xml.etree.ElementTree as ET

from engine.events import Result
from engine.folders import Listed
from engine.keeping import Summary
from engine.session import Session
from tui import plots


def _session(story, **results):
    session = Session()
    for message in story(until="done"):
        session = session.apply(message)
    for name, value in results.items():
        session = session.apply(Result(seq=session.seq + 1, name=name, value=value))
    return session


def _series(plot):
    return {s.name: s.points for s in plot.series}


def test_a_sweep_is_drawn_against_what_was_achieved(story):
    rows = [
        {"asked": s, "granularity": g, "sparsity": s - 0.01, "accuracy": 1 - s / 2, "bytes": 1000 * (2 - s),
         "dense": 0.9, "ms at 1": s + 1, "speed-up at 1": 1.0}
        for g in ("weight", "unit") for s in (0.5, 0.25)
    ]  # fmt: skip
    found = plots.of_session(_session(story, sweep=rows))
    assert [p.title for p in found[:3]] == [
        "accuracy against sparsity", "packed size against sparsity", "time, batch 1 against sparsity"
    ]  # fmt: skip
    assert _series(found[0])["unit"] == ((0.24, 0.875), (0.49, 0.75))
    assert _series(found[0])["dense"] == ((0.24, 0.9), (0.49, 0.9))
    assert _series(found[1])["weight"] == ((0.24, 1.75), (0.49, 1.5))
    assert _series(found[2])["weight"] == ((0.24, 1.25), (0.49, 1.5))


def test_layers_alone_and_rounds(story):
    table = {"a/kernel": {"0": 0.9, "0.5": "nan"}, "b/kernel": {"0": 0.9, "0.5": 0.4}}
    rounds = [{"pq_index": 0.2, "kept": 5, "layers": {"a": {"pq_index": 0.3}}}, {"pq_index": 0.1}]
    found = plots.of_session(_session(story, sensitivity={"table": table}, rounds=rounds))
    assert _series(found[0]) == {"a": ((0.0, 0.9),), "b": ((0.0, 0.9), (0.5, 0.4))}
    assert _series(found[1]) == {"all": ((1.0, 0.2), (2.0, 0.1)), "a": ((1.0, 0.3),)}
    assert _series(found[2])["kept"] == ((1.0, 5.0),)


def test_a_histogram_is_an_outline(story):
    part = {"edges": [0, 1, 2], "before": [3, 1], "after": [0, 2]}
    found = plots.of_session(_session(story, histograms={"a/kernel": {"weights": part}}))[-1]
    assert found.title == "a: weights"
    assert _series(found)["before"] == ((0, 3), (1, 3), (1, 1), (2, 1))


def test_what_is_odd_is_left_out(story):
    assert plots.of_session(Session()) == []
    odd = _session(story, sweep="no", sensitivity=3, rounds=[1], histograms={"a": {"weights": 2}})
    assert plots.of_session(odd) == plots.of_session(_session(story))


def test_sessions_by_family():
    def run(family, sparsity, packed):
        summary = Summary(
            family=family, sparsity=sparsity, pruned_metric=1 - sparsity, bytes_packed=packed, speedup=None
        )
        return Listed(folder="x", alive=False, summary=summary)

    found = plots.of_sessions([run("Units", 0.5, 4000), run("Weights", 0.9, 1000), run("Units", 0.25, None)])
    assert [p.title for p in found] == ["accuracy against sparsity", "packed size against sparsity"]
    assert _series(found[0]) == {"Units": ((0.25, 0.75), (0.5, 0.5)), "Weights": ((0.9, 1 - 0.9),)}
    assert _series(found[1]) == {"Units": ((0.5, 4.0),), "Weights": ((0.9, 1.0),)}
    assert not found[0].series[0].joined


async def test_the_screen_shows_and_saves(make_app, settle, text_of, tmp_path, monkeypatch):
    monkeypatch.setattr("tui.screens.plots.CONVERTERS", (("true", ("{svg}", "{png}")),))
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot, lambda: app.painted)
        app.screen.query_one("#list").choose("gradual-global")
        await pilot.press("enter")
        await settle(pilot, lambda: app.screen.scope == "run" and app.screen.live.session.finished)
        await pilot.press("p")
        await settle(pilot, lambda: getattr(app.screen, "scope", "") == "plots")
        await settle(pilot, lambda: "validation accuracy" in text_of(app) and "dense control" in text_of(app))
        await pilot.press("right")
        await settle(pilot, lambda: "against sparsity" in text_of(app) and "%" in text_of(app))
        await pilot.press("x")
        folder = app.screen.folder
        await settle(pilot, lambda: len(list(folder.glob("*.svg"))) == len(app.screen.plots))
        for path in folder.glob("*.svg"):
            assert ET.parse(path).getroot().tag.endswith("svg")
        await pilot.resize_terminal(50, 14)
        await settle(pilot, lambda: "2 of" in text_of(app))
        await pilot.press("escape")
        assert app.screen.scope == "run"


async def test_plots_of_the_sessions(make_app, settle, text_of, kept):
    app = make_app(runs=kept("gradual-global", "sap"))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot, lambda: app.painted)
        await pilot.press("s")
        await settle(pilot, lambda: bool(app.screen.shown))
        await pilot.press("p")
        await settle(pilot, lambda: getattr(app.screen, "scope", "") == "plots")
        await settle(pilot, lambda: "2 sessions" in text_of(app) and "accuracy against sparsity" in text_of(app))


def test_numpy_and_the_widget_come_with_that_screen_only():
    code = (
        "import sys, tui.app, tui.plots, tui.screens.run, tui.screens.sessions;"
        "print([m for m in ('numpy', 'textual_plot') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
