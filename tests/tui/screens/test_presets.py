import pytest


def page(app):
    return " ".join(app.screen.query_one("#words").text.split())


async def test_the_way_by_keyboard(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        assert "Gradual magnitude pruning" not in text_of(app)  # the first in the list is the broken one
        await pilot.press("j")
        assert "Gradual magnitude pruning" in text_of(app)
        assert "until a share of 90 % is gone" in page(app)
        await pilot.press("G")
        assert "Two of every four weights" in text_of(app)  # a family of no known name comes last
        await pilot.press("g", "down", "enter")
        await settle(pilot, lambda: app.screen.scope == "run" and app.screen.live.session.finished)
        assert app.fake.started[0].name == "gradual-global"
        await pilot.press("escape")
        assert app.screen.scope == "presets"
        await pilot.press("q")
    assert app.return_code == 0
    assert app.fake.closed


async def test_typing_narrows_the_list(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        await pilot.press("slash", *"syn")
        assert "synflow" in text_of(app)
        assert "random-control" not in text_of(app)
        assert "1 of 7" in text_of(app)
        await pilot.press("enter", "enter")
        await settle(pilot, lambda: app.screen.scope == "run")
        assert app.screen.live.session.name == "synflow"
        await pilot.press("escape", "escape")
        assert "random-control" in text_of(app)


async def test_nothing_matches(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.painted)
        await pilot.press("slash", *"zzz")
        assert "nothing matches 'zzz'" in text_of(app)
        await pilot.press("enter", "enter")  # nothing is chosen, nothing happens
        assert app.screen.scope == "presets"


async def test_a_broken_preset_shows_its_errors_and_does_not_run(make_app, settle, text_of):
    app = make_app(start="broken")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        text = page(app)
        assert "broken.yaml:4:8: data.name: unknown data 'digit' (did you mean digits?)" in text
        assert "did you mean magnitude?" in text
        await pilot.press("enter")
        assert app.screen.scope == "presets"
        assert not app.fake.started


async def test_a_file_that_is_no_yaml_does_not_break_the_list(make_app, settle, text_of, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.yaml").write_bytes(b"\xff\xfe: [")
    app = make_app(start="mine")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        assert "YOUR OWN" in text_of(app)
        assert "cannot run until its file is mended" in text_of(app)


async def test_the_mouse_chooses_and_presses(make_app, settle):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        await pilot.click("#list", offset=(6, 3))  # under the border and WEIGHTS: the second preset
        assert app.screen.chosen.name == "gradual-global"
        await pilot.click("#list", offset=(6, 3))
        await settle(pilot, lambda: app.screen.scope == "run")
        bar = app.screen.query_one("KeyBar")
        await pilot.click("KeyBar", offset=(1 + bar.text.index("? help"), 0))
        await settle(pilot, lambda: type(app.screen).__name__ == "Help")


async def test_the_last_result_is_on_the_page(make_app, settle, text_of, kept):
    app = make_app(runs=kept("gradual-global"), start="gradual-global")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        text = page(app)
        assert "last run" in text
        assert ".969" in text
        assert "19 kB packed" in text
        assert "last time it took 0:21" in text


async def test_the_choice_is_remembered(make_app, settle):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.painted)
        app.screen.query_one("#list").choose("sap")
        await pilot.press("enter")
    again = make_app()
    async with again.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: again.painted)
        assert again.screen.chosen.name == "sap"


async def test_a_small_screen_shows_list_or_page(make_app, settle, text_of):
    app = make_app(start="sap")
    async with app.run_test(size=(50, 14)) as pilot:
        await settle(pilot, lambda: app.painted)
        assert "BY ITSELF" in text_of(app)
        await pilot.press("tab")
        await pilot.pause()
        assert "BY ITSELF" not in text_of(app)
        assert "PQ Index decides" in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "BY ITSELF" in text_of(app)


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (50, 14), (20, 5), (200, 60)])
async def test_any_size_and_resizing_while_it_runs(make_app, settle, size):
    app = make_app("pruning")
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot, lambda: app.painted)
        await pilot.resize_terminal(*size)
        await pilot.press("j", "enter")
        await settle(pilot, lambda: app.screen.scope == "run")
        await pilot.resize_terminal(80, 24)
        await pilot.resize_terminal(*size)
        await pilot.pause(0.3)


async def test_help_says_what_can_be_done_here(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        await pilot.press("question_mark")
        assert "Run the recipe that is shown." in text_of(app)
        await pilot.press("escape")
        assert app.screen.scope == "presets"


async def test_the_palette_has_every_key_of_the_screen(make_app, settle):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "run (enter)" in titles
        assert "quit (q)" in titles
        await pilot.press("ctrl+p")
        await pilot.pause()
        await pilot.press(*"sessions", "enter")
        await settle(pilot, lambda: getattr(app.screen, "scope", "") == "sessions")


async def test_on_a_small_screen_the_filter_and_the_yaml_can_be_reached_from_the_page(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(50, 14)) as pilot:
        await settle(pilot, lambda: app.painted)
        assert "tab page" in text_of(app)
        await pilot.press("tab")
        await settle(pilot, lambda: app.screen.has_class("-page"))
        assert "schema: 1" not in text_of(app)
        await pilot.press("y")
        await settle(pilot, lambda: "schema: 1" in text_of(app))
        await pilot.press("slash", *"random")
        await settle(pilot, lambda: not app.screen.has_class("-page") and app.screen.words == "random")


async def test_a_run_that_an_earlier_app_left_is_told_and_followed(make_app, settle, kept, monkeypatch):
    runs = kept("gradual-global", "sap")
    (left,) = runs.glob("*-sap")
    monkeypatch.setattr("engine.journal.held", lambda folder: folder == left)
    app = make_app(runs=runs)
    heard = []
    monkeypatch.setattr(app, "say", lambda words, **_: heard.append(words))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: f"{left.name} is still going: press r to follow it" in heard)
        await pilot.press("r")
        await settle(pilot, lambda: app.screen.scope == "run")
        assert app.screen.live.folder == left


async def test_the_last_run_can_be_opened_in_a_new_app(make_app, settle, kept):
    runs = kept("gradual-global")
    app = make_app(runs=runs)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        await pilot.press("r")
        await settle(pilot, lambda: app.screen.scope == "run")
        assert app.screen.live.folder.parent == runs


async def test_quitting_tells_of_what_waits_in_the_queue(make_app, settle, text_of):
    app = make_app("pruning")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.painted)
        app.screen.query_one("#list").choose("gradual-global")
        await pilot.press("enter")
        await settle(pilot, lambda: app.screen.scope == "run" and app.desk.going)
        await pilot.press("escape")
        await settle(pilot, lambda: app.screen.scope == "presets")
        await pilot.press("a")
        await settle(pilot, lambda: "1 going   1 in the queue" in text_of(app))
        await pilot.press("q")
        await settle(pilot, lambda: "1 in the queue will not be started" in " ".join(text_of(app).split()))
