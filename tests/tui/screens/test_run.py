from tui.screens.run import PANELS


async def _open(app, pilot, settle):
    await settle(pilot, lambda: app.painted)
    app.screen.query_one("#list").choose("gradual-global")
    await pilot.press("enter")
    await settle(pilot, lambda: app.screen.scope == "run" and app.screen.live.feed is not None)
    await settle(pilot, lambda: app.screen.live.session.seq > 3)
    await pilot.pause(0.3)


async def test_a_run_is_seen_as_it_goes(make_app, settle, text_of):
    app = make_app("pruning")
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        text = text_of(app)
        for words in (
            "pruning",
            "epoch  7 of 12",
            "0:12 left",  # 8 s for 5 epochs of this phase, and 3 of fine-tuning after it
            "dense .976",
            "1,850 / 19,200",
            "masks updated at step",
        ):
            assert words in text


async def test_compiling_is_a_state_that_one_sees(make_app, settle, text_of):
    app = make_app("compiling")
    async with app.run_test(size=(80, 24)) as pilot:
        await _open(app, pilot, settle)
        assert " compiling " in text_of(app).splitlines()[0]


async def test_stopping_asks_first(make_app, settle, text_of):
    app = make_app("pruning")
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("x")
        assert "Stop gradual-global?" in text_of(app)
        await pilot.press("enter")  # the first answer loses nothing
        assert app.fake.feeds[0].told == []
        await pilot.press("x", "x")
        await settle(pilot, lambda: app.fake.feeds[0].told == ["cancel"])
        await pilot.pause(0.3)
        assert "stopping" in text_of(app)


async def test_pause_and_freeze(make_app, settle, text_of):
    app = make_app("pruning")
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("space")
        await settle(pilot, lambda: app.fake.feeds[0].told == ["pause"])
        await pilot.pause(0.3)
        assert " paused " in text_of(app)
        await pilot.press("space")
        await settle(pilot, lambda: app.fake.feeds[0].told == ["pause", "resume"])
        await pilot.press("f")
        assert " frozen " in text_of(app)
        await pilot.press("f")
        assert " frozen " not in text_of(app)


async def test_a_failed_run_keeps_its_picture(make_app, settle, text_of):
    app = make_app("failed")
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        text = text_of(app)
        assert "failed: the worker was killed by signal 9" in text
        assert "prune-tui resume" in text
        assert ".968" in text
        assert "1,850 / 19,200" in text
        await pilot.press("r")
        await settle(pilot, lambda: len(app.fake.started) == 2)


async def test_a_run_that_cannot_start_says_why(make_app, settle, text_of):
    app = make_app("refused")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.painted)
        app.screen.query_one("#list").choose("gradual-global")
        await pilot.press("enter")
        await settle(pilot, lambda: app.screen.scope == "run" and app.screen.live.session.state == "failed")
        await pilot.pause(0.3)
        assert "the worker cannot be started: no memory (runs/x)" in text_of(app)
        assert "Close something." in text_of(app)


async def test_quitting_asks_what_becomes_of_the_run(make_app, settle, text_of):
    app = make_app("pruning")
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("q")
        assert "leave it running, and quit" in text_of(app)
        await pilot.press("c")
        assert app.screen.scope == "run"
        await pilot.press("q", "l")
    assert app.return_code == 0
    assert app.fake.feeds[0].told == []


async def test_quitting_can_stop_the_run(make_app, settle, monkeypatch):
    app = make_app("pruning")
    stopped = []

    async def stop(runs, **_):
        stopped.extend(runs)

    monkeypatch.setattr(app.desk, "stop", stop)
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("q", "s")
        await settle(pilot, lambda: app.return_code is not None)
    assert [run.session.name for run in stopped] == ["gradual-global"]


async def test_a_run_goes_on_behind_the_presets(make_app, settle, text_of):
    app = make_app("pruning")
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("escape")
        await pilot.pause(0.6)
        assert "1 going" in text_of(app)
        await pilot.press("r")
        assert app.screen.scope == "run"
        assert app.screen.live.session.name == "gradual-global"


async def test_the_layers_can_be_looked_into(make_app, settle, text_of):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        app.screen.query_one("#layers").focus()
        await pilot.press("down", "enter")
        assert "300x100   layer 2 of 3" in text_of(app)
        assert "dense_1 recovered" in text_of(app)
        await pilot.press("right")
        assert "layer 3 of 3" in text_of(app)
        await pilot.press("escape")
        assert app.screen.query_one("#layers").chosen == "output/kernel"


async def test_one_panel_at_a_time(make_app, settle, text_of):
    app = make_app("pruning")
    async with app.run_test(size=(50, 14)) as pilot:
        await _open(app, pilot, settle)
        for name in (*PANELS[1:], PANELS[0]):
            await pilot.press("tab")
            await pilot.pause()
            shown = [
                n
                for n in PANELS
                if app.screen.query_one(f"#{n}").display and app.screen.query_one(f"#{n}").parent.display
            ]
            assert shown == [name]
            assert "SPARSITY" in text_of(app)


async def test_zoom_cursor_smoothing_and_overlay(make_app, settle, text_of, kept):
    app = make_app("pruning", runs=kept("gradual-global"))
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, settle)
        await pilot.press("left", "left")
        assert "at epoch 6" in text_of(app)
        await pilot.press("escape", "m", "l", "o")
        assert app.screen.view.smoothing == 0.6
        assert app.screen.view.log
        assert "earlier" in text_of(app)
        app.screen.query_one("#log").focus()
        await pilot.press("z")
        await pilot.pause(0.3)
        assert not app.screen.query_one("#left").display
        await pilot.press("escape")
        assert app.screen.query_one("#left").display


async def test_the_queue_goes_on_by_itself(make_app, settle):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.painted)
        app.screen.query_one("#list").choose("sap")
        await pilot.press("a")
        await settle(pilot, lambda: len(app.fake.started) == 1)
        assert app.fake.started[0].name == "sap"


async def test_a_journal_opened_shows_the_saved_session(make_app, settle, kept):
    from engine.session import Session

    runs = kept("gradual-global")
    (folder,) = runs.iterdir()
    app = make_app(runs=runs, start=str(folder))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.screen.scope == "run" and app.screen.live.session.finished)
        assert app.screen.live.session == Session.load(folder)


async def test_the_next_theme_is_remembered(make_app, settle):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.painted)
        await pilot.press("t")
        assert app.theme == "paper"
    assert make_app().theme == "paper"


async def test_a_failed_run_goes_on_from_its_checkpoint(make_app, settle, text_of, kept):
    runs = kept("sap", until="failed")
    (folder,) = runs.iterdir()
    app = make_app(runs=runs, start=str(folder))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: app.screen.scope == "run" and app.screen.live.session.state == "failed")
        await pilot.press("u")  # there is none yet
        assert app.screen.live.session.state == "failed"
        (folder / "checkpoint").mkdir()
        await pilot.press("u")
        await settle(pilot, lambda: app.screen.live.session.state == "done")
        assert len(app.desk.open) == 1
