import asyncio
import csv
import io

from engine.folders import Listed
from engine.keeping import Summary
from engine.session import Session
from tui import history


async def _open(app, pilot, settle):
    await settle(pilot, lambda: app.painted)
    await pilot.press("s")
    await settle(pilot, lambda: app.screen.scope == "sessions" and app.screen.read)


async def test_an_empty_list_says_what_to_do(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await _open(app, pilot, settle)
        assert "choose a preset and press Enter" in text_of(app)
        await pilot.press("enter", "d", "r", "n", "x")  # nothing to do it to
        assert app.screen.scope == "sessions"


async def test_newest_first_then_filtered_and_sorted(make_app, settle, text_of, kept):
    app = make_app(runs=kept("gradual-global", "sap"))
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        assert [history.name(r) for r in app.screen.shown.values()] == ["sap", "gradual-global"]
        await pilot.press("o")
        assert [history.name(r) for r in app.screen.shown.values()] == ["gradual-global", "sap"]
        await pilot.press("slash", *"sap")
        assert [history.name(r) for r in app.screen.shown.values()] == ["sap"]
        await pilot.press("escape")
        assert len(app.screen.shown) == 2


async def test_opened_it_is_replayed(make_app, settle, text_of, kept):
    app = make_app(runs=kept("sap"))
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("enter")
        await settle(pilot, lambda: app.screen.scope == "run" and app.screen.live.session.state == "done")


async def test_deleting_asks_first(make_app, settle, text_of, kept):
    runs = kept("sap")
    app = make_app(runs=runs)
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("d")
        assert "Delete sap?" in text_of(app)
        await pilot.press("escape")
        assert list(runs.iterdir())
        await pilot.press("d", "d")
        await settle(pilot, lambda: not list(runs.iterdir()))


async def test_renamed_it_keeps_its_time(make_app, settle, kept):
    runs = kept("sap")
    app = make_app(runs=runs)
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("n", *"best", "enter")
        await settle(pilot, lambda: [p.name for p in runs.iterdir()] == ["2026-11-22T10-02-11-best"])
        await settle(pilot, lambda: [history.name(r) for r in app.screen.shown.values()] == ["best"])


async def test_exported_as_a_script_that_repeats_it(make_app, settle, kept):
    runs = kept("sap")
    app = make_app(runs=runs)
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("x", "p")
        await settle(pilot, lambda: list(runs.glob("*/exports/repeat.py")))
    (script,) = runs.glob("*/exports/repeat.py")
    compile(script.read_text(), str(script), "exec")
    assert "name: sap" in script.with_suffix(".yaml").read_text()


def test_epochs_as_csv(story):
    session = Session()
    for message in story():
        session = session.apply(message)
    rows = list(csv.DictReader(io.StringIO(history.epochs_csv(session))))
    assert len(rows) == 8 + 15
    assert float(rows[-1]["sparsity"]) == 0.9
    assert float(rows[-1]["accuracy"]) == 0.991


async def test_ten_thousand_sessions_are_all_there(make_app, settle, monkeypatch):
    many = [
        Listed(
            folder=f"runs/2026-01-01T00-00-00-run-{i}", summary=Summary(name=f"run-{i}", state="done", created=float(i))
        )
        for i in range(10_000)
    ]
    monkeypatch.setattr("tui.screens.sessions.listed", lambda _: many)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        await pilot.press("s")
        while not (app.screen.scope == "sessions" and app.screen.read):
            await asyncio.sleep(0.01)
        await pilot.press("G")
        assert app.screen.chosen.folder.endswith("run-0")
