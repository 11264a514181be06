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
