import pytest

from tui.screens.jump import Jump
from tui.widgets.lines import Lines


async def _run(app, pilot, settle, until=3):
    await settle(pilot, lambda: app.painted)
    app.screen.query_one("#list").choose("gradual-global")
    await pilot.press("enter")
    await settle(pilot, lambda: app.screen.scope == "run" and app.screen.live.session.seq > until)
    await pilot.pause(0.3)


async def test_a_letter_goes_to_its_panel(make_app, settle, text_of):
    app = make_app("pruning")
    async with app.run_test(size=(120, 40)) as pilot:
        await _run(app, pilot, settle)
        run = app.screen
        await pilot.press("ctrl+o")
        assert isinstance(app.screen, Jump)
        goals = {letter: target.id for letter, target in app.screen.targets.items()}
        assert list(goals.values()) == ["live", "epochs", "layers", "log"]  # there is no result yet
        for label in app.screen.query(Lines):
            target = app.screen.targets[label.id.removeprefix("to-")]
            assert label.region.offset == target.region.offset
        await pilot.press(next(letter for letter, name in goals.items() if name == "log"))
        assert app.screen is run
        await settle(pilot, lambda: run.focused is not None and run.focused.id == "log")


async def test_where_one_panel_is_shown_the_others_can_be_gone_to(make_app, settle, text_of):
    app = make_app("pruning")
    async with app.run_test(size=(50, 14)) as pilot:
        await _run(app, pilot, settle)
        run = app.screen
        await pilot.press("ctrl+o")
        assert "d layers" in text_of(app)
        await pilot.press("d")
        await settle(pilot, lambda: run.query_one("#layers").size.height > 3)
        assert run.focused.id == "layers"


@pytest.mark.parametrize("press", ["escape", "9"])
async def test_any_other_key_leaves_all_as_it_was(make_app, settle, press):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        presets, before = app.screen, app.screen.focused
        await pilot.press("ctrl+o")
        await pilot.press(press)
        assert app.screen is presets
        assert presets.focused is before


async def test_from_the_list_to_a_page_that_is_hidden(make_app, settle):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.painted)
        presets = app.screen
        await pilot.press("ctrl+o")
        await pilot.press(next(k for k, t in app.screen.targets.items() if t.id == "yaml"))
        await settle(pilot, lambda: presets.query_one("#yaml").size.height > 3)
        assert presets.focused.id == "yaml"


async def test_by_mouse(make_app, settle):
    app = make_app("pruning")
    async with app.run_test(size=(120, 40)) as pilot:
        await _run(app, pilot, settle)
        await pilot.press("ctrl+o")
        await pilot.click("#to-a")
        await settle(pilot, lambda: app.screen.scope == "run" and app.screen.focused.id == "live")


async def test_resizing_closes_it(make_app, settle):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        await pilot.press("ctrl+o")
        await pilot.resize_terminal(80, 24)
        await settle(pilot, lambda: not isinstance(app.screen, Jump))
