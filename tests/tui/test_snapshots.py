"""Pictures of every screen at three sizes and without colour. After a meant change: `pytest --snapshot-update`."""

import pytest

SIZES = {"wide": (120, 40), "normal": (80, 24), "tiny": (50, 14), "plain": (120, 40)}


@pytest.fixture(params=SIZES)
def look(request, monkeypatch):
    """The size; `plain` is the wide one with NO_COLOR set."""

    def prepare():
        if request.param == "plain":
            monkeypatch.setenv("NO_COLOR", "1")
        return SIZES[request.param]

    return prepare


def _run(settle, until, *keys):
    async def before(pilot):
        app = pilot.app
        await settle(pilot, lambda: app.painted)
        app.screen.query_one("#list").choose("gradual-global")
        await pilot.press("enter")
        await settle(pilot, lambda: app.screen.scope == "run" and app.screen.live.session.seq > 3)
        live = app.screen.live
        goal = {"pruning": 22, "compiling": 4}.get(until)
        await settle(pilot, lambda: live.session.finished if goal is None else live.session.seq >= goal)
        await settle(pilot, lambda: app.screen._painted is not None and app.screen._painted[0] is live.session)
        for key in keys:
            await pilot.press(key)
        for _ in range(3):  # a layout, a picture for it, and what that picture's size changes
            await pilot.pause()
            app.screen.call_later(getattr(app.screen, "tick", app.screen.refresh))
        await pilot.pause(0.05)

    return before


@pytest.mark.parametrize("until", ["compiling", "pruning", "failed", "done"])
def test_run(snap_compare, make_app, settle, look, until):
    size = look()
    app = make_app(until)
    assert snap_compare(app, terminal_size=size, run_before=_run(settle, until))


def test_layer(snap_compare, make_app, settle, look):
    size = look()
    app = make_app("pruning")
    assert snap_compare(app, terminal_size=size, run_before=_run(settle, "pruning", "enter"))


def _after(settle, *keys, choose="gradual-global"):
    async def before(pilot):
        app = pilot.app
        await settle(pilot, lambda: app.painted)
        app.screen.query_one("#list").choose(choose)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.05)
        await pilot.pause(0.15)

    return before


def test_presets(snap_compare, make_app, settle, look):
    size = look()
    app = make_app()
    assert snap_compare(app, terminal_size=size, run_before=_after(settle))


def test_broken_preset(snap_compare, make_app, settle):
    assert snap_compare(make_app(), terminal_size=(80, 24), run_before=_after(settle, choose="broken"))


def test_help(snap_compare, make_app, settle, look):
    size = look()
    app = make_app()
    assert snap_compare(app, terminal_size=size, run_before=_after(settle, "question_mark"))


def test_configure(snap_compare, make_app, settle, look):
    size = look()
    app = make_app()
    assert snap_compare(app, terminal_size=size, run_before=_after(settle, "e", "j", "j"))


def test_sessions(snap_compare, make_app, settle, look, kept, monkeypatch, tmp_path):
    from pathlib import Path

    kept("gradual-global", "sap", "l2-units")
    monkeypatch.chdir(tmp_path)
    size = look()
    app = make_app(runs=Path("runs"))
    assert snap_compare(app, terminal_size=size, run_before=_after(settle, "s"))


def test_no_sessions_yet(snap_compare, make_app, settle, monkeypatch, tmp_path):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    assert snap_compare(make_app(runs=Path("runs")), terminal_size=(80, 24), run_before=_after(settle, "s"))


def test_plots(snap_compare, make_app, settle, look):
    size = look()
    app = make_app("done")
    begin = _run(settle, "done")

    async def before(pilot):
        await begin(pilot)
        await settle(pilot, lambda: all(run.announced for run in pilot.app.desk.open))  # no word in the corner later
        await pilot.press("p")
        await settle(pilot, lambda: getattr(pilot.app.screen, "scope", "") == "plots" and bool(pilot.app.screen.plots))
        await pilot.pause(0.1)
        pilot.app.screen.draw()
        await pilot.pause(0.1)

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", [SIZES["wide"], SIZES["tiny"]], ids=["wide", "tiny"])
def test_jump(snap_compare, make_app, settle, size):
    assert snap_compare(make_app("pruning"), terminal_size=size, run_before=_run(settle, "pruning", "ctrl+o"))
