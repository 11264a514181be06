import pytest

from tui import keys
from tui.app import PruneApp
from tui.screens.configure import ConfigureScreen
from tui.screens.layer import LayerScreen
from tui.screens.plots import PlotsScreen
from tui.screens.presets import PresetsScreen
from tui.screens.run import RunScreen
from tui.screens.sessions import SessionsScreen
from tui.widgets.menu import Menu

HOLDERS = {
    "app": PruneApp, "presets": PresetsScreen, "run": RunScreen, "sessions": SessionsScreen,
    "configure": ConfigureScreen, "plots": PlotsScreen, "layer": LayerScreen, "list": Menu,
}  # fmt: skip


@pytest.mark.parametrize("key", keys.KEYS, ids=lambda key: key.id)
def test_every_key_does_something(key):
    name = key.action.partition("(")[0]
    assert hasattr(HOLDERS[key.scope], f"action_{name}")
    assert key.help.endswith(".")


def test_no_key_is_taken_twice():
    assert keys.clashes({}) == []


def test_names_are_unique():
    assert len({key.id for key in keys.KEYS}) == len(keys.KEYS)


def test_a_users_keys_are_checked():
    assert keys.clashes({"run.stop": "f"}) == ["keys: f is both run.stop and run.freeze"]
    assert keys.clashes({"run.halt": "f"}) == ["keys: there is no key named 'run.halt'"]


async def test_a_changed_key_works_and_is_shown(make_app, settle, text_of):
    from tui.config import Config

    app = make_app(settings=Config(keys={"presets.sessions": "v"}))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        assert "v sessions" in text_of(app)
        await pilot.press("v")
        assert app.screen.scope == "sessions"
