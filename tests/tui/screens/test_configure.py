import sys
from contextlib import nullcontext

import pytest


async def _open(app, pilot, settle, preset="gradual-global"):
    await settle(pilot, lambda: app.painted)
    app.screen.query_one("#list").choose(preset)
    await pilot.press("e")
    await settle(pilot, lambda: app.screen.scope == "configure" and app.screen.fields)


async def test_the_sentence_changes_along_and_the_recipe_runs(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        app.screen.query_one("#form").choose("prune.target.sparsity")
        assert "until a share of 90 % is gone" in " ".join(app.screen.query_one("#words").text.split())
        await pilot.press("right")
        assert "until a share of 95 % is gone" in " ".join(app.screen.query_one("#words").text.split())
        await pilot.press("ctrl+r")
        await settle(pilot, lambda: app.screen.scope == "run")
        assert app.fake.started[0].prune.target.get("sparsity") == 0.95


async def test_a_value_is_checked_as_it_is_typed(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        app.screen.query_one("#form").choose("train.epochs")
        await pilot.press("enter", *"-3")
        await pilot.pause()
        assert "must be between 0 and 100000, got -3" in text_of(app)
        await pilot.press("enter")  # is not taken
        await pilot.press("backspace", "backspace", *"20", "enter")
        await settle(pilot, lambda: app.screen.scope == "configure")
        assert app.screen.recipe.train.epochs == 20


async def test_a_file_that_is_not_there_is_told_and_the_form_stays(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        form = app.screen.query_one("#form")
        form.choose("data")
        await pilot.press("enter", *["down"] * 5, "enter")
        await settle(pilot, lambda: "data.npz" in app.screen.fields)
        assert "write a value: path of the .npz file" in " ".join(text_of(app).split())
        form.choose("data.npz")
        await pilot.press("enter", *["backspace"] * 4, *"none.npz", "enter")
        await settle(pilot, lambda: app.screen.recipe is not None)
        await pilot.press("ctrl+r")
        await pilot.pause()
        [told] = [note.message for note in app._notifications]
        assert told.startswith("It cannot run: none.npz: there is no such file")
        assert app.screen.scope == "configure"
        assert app.screen.recipe.data.get("npz") == "none.npz"
        assert not app.fake.started


async def test_a_part_is_chosen_from_a_list(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        app.screen.query_one("#form").choose("prune.scope")
        await pilot.press("enter", "down", "enter")
        await settle(pilot, lambda: app.screen.recipe is not None and app.screen.recipe.prune.scope.name != "global")


async def test_what_is_wrong_is_said_and_does_not_run(make_app, settle, text_of):
    from tui import form

    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        screen = app.screen
        screen._put(form.put(screen.values, screen.fields["data"], "npz"))
        await pilot.press("ctrl+r")
        assert app.screen is screen
        assert screen.problems


async def test_saved_as_a_preset_of_ones_own(make_app, settle, text_of, tmp_path):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("ctrl+s")
        assert "my-gradual-global" in text_of(app)
        await pilot.press("enter")
        await settle(pilot, (tmp_path / "own" / "my-gradual-global.yaml").exists)
        await pilot.press("escape")
        await settle(pilot, lambda: "YOUR OWN" in text_of(app))
        assert "my-gradual-global" in text_of(app)


async def test_leaving_with_changes_asks_first(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        app.screen.query_one("#form").choose("prune.target.sparsity")
        await pilot.press("right", "escape")
        await settle(pilot, lambda: "What you changed is not saved" in text_of(app))
        await pilot.press("enter")  # stays
        await settle(pilot, lambda: getattr(app.screen, "scope", "") == "configure")
        assert app.screen.recipe.prune.target.get("sparsity") == 0.95
        await pilot.press("left", "escape")  # as it was: nothing to ask
        await settle(pilot, lambda: getattr(app.screen, "scope", "") == "presets")


async def test_a_preset_of_ones_own_is_not_overwritten_unasked(make_app, settle, text_of, tmp_path):
    (tmp_path / "own").mkdir(exist_ok=True)
    mine = tmp_path / "own" / "my-gradual-global.yaml"
    mine.write_text("name: my-gradual-global\nseed: 7\n")
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("ctrl+s", "enter")
        await settle(pilot, lambda: "You have a preset my-gradual-global already" in text_of(app))
        await pilot.press("c")
        await settle(pilot, lambda: getattr(app.screen, "scope", "") == "configure")
        assert "seed: 7" in mine.read_text()
        await pilot.press("ctrl+s", "enter")
        await settle(pilot, lambda: "already" in text_of(app))
        await pilot.press("o")
        await settle(pilot, lambda: "seed: 7" not in mine.read_text())


@pytest.fixture
def editor(monkeypatch, tmp_path):
    """Sets an $EDITOR with an argument, made of Python code that sees the file's path as `path`."""

    def write(code):
        script = tmp_path / "an editor.py"
        script.write_text(f"import sys, pathlib\npath = pathlib.Path(sys.argv[-1])\n{code}\n")
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", f"{sys.executable} '{script}' --wait")

    monkeypatch.setattr("tui.app.PruneApp.suspend", lambda _: nullcontext())
    return write


async def test_what_the_editor_left_is_read_and_a_mistake_is_not_lost(make_app, settle, text_of, editor):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        editor("path.write_text(path.read_text().replace('seed: 0', 'sead: 5'))")
        await pilot.press("ctrl+e")
        await settle(pilot, lambda: "unknown key 'sead'" in text_of(app))
        await pilot.press("c")
        await settle(pilot, lambda: getattr(app.screen, "scope", "") == "configure")
        assert app.screen.recipe.seed == 0
        editor("path.write_text(path.read_text().replace('sead', 'seed'))")
        await pilot.press("ctrl+e")
        await settle(pilot, lambda: app.screen.recipe.seed == 5)


@pytest.mark.parametrize(
    ("command", "said"),
    [("false", "false ended with status 1; nothing is changed"), ("no-such-editor", "cannot be started"),
     ("vi '", "which is no command")],
)  # fmt: skip
async def test_an_editor_that_fails_changes_nothing(make_app, settle, text_of, editor, monkeypatch, command, said):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", command)
    app = make_app()
    heard = []
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        monkeypatch.setattr(app, "say", lambda words, **_: heard.append(words))
        before = app.screen.recipe
        await pilot.press("ctrl+e")
        await settle(pilot, lambda: any(said in words for words in heard))
        assert app.screen.recipe == before
