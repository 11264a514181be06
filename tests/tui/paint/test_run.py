"""What the panels of a run say, from a made story: no terminal."""

import math

import pytest
from msgspec.structs import replace

from engine.events import EpochEnded, Finished, LayerState, Progress
from engine.session import Session
from tui.live import LiveRun
from tui.paint import curves, figures, heading, result, tables
from tui.paint.lines import length, plain


@pytest.fixture
def told(story):
    def fold(until="done"):
        session = Session()
        for message in story(until=until):
            session = session.apply(message)
        return session

    return fold


def said(lines):
    return "\n".join(plain(one) for one in lines)


def test_the_four_numbers_while_pruning(told):
    sparsity, accuracy, size, speed = figures.figures(told("pruning"))
    assert (sparsity.value, sparsity.below) == ("88.6 %", "of 90 %")
    assert (accuracy.value, accuracy.below, accuracy.more) == (".968", "-.008", "dense .976")
    assert (size.title, size.value, size.below) == ("PARAMETERS", "6,195", "of 50,610")
    assert (speed.value, speed.kind, speed.below) == ("–", "at the end", "8.7x in theory")


def test_at_the_end_size_and_speed_are_the_measured_ones(told):
    _, _, size, speed = figures.figures(told())
    assert (size.title, size.kind, size.value, size.below, size.more) == (
        "SIZE", "packed", "19 kB", "of 184 kB", "9.7x smaller",
    )  # fmt: skip
    assert (speed.value, speed.kind, speed.below) == ("1.0x", "measured", "9.2x in theory")


def test_before_anything_is_known_there_are_dashes():
    assert [f.value for f in figures.figures(Session())] == ["–", "–", "–", "–"]


@pytest.mark.parametrize(("width", "rows"), [(120, 6), (80, 4), (50, 2)])
def test_the_figures_fit(told, width, rows):
    lines = figures.paint(told(), width, rows=rows)
    assert all(length(one) <= width for one in lines)
    assert len(lines) == min(rows, 5)


def test_the_progress_of_the_whole_run(told):
    assert heading.share(LiveRun(told("compiling"))) == 0.0
    live = LiveRun(told("dense"))
    assert heading.share(live) == pytest.approx(8 / 23)
    live.within = True  # the ninth of 17 steps of one epoch more
    assert heading.share(live) == pytest.approx((8 + 9 / 17) / 23)
    assert heading.share(LiveRun(told())) == 1.0


def test_the_time_left_is_that_of_the_whole_run(told):
    live = LiveRun(told("dense"))
    live.within = True
    progress = Progress(phase="pruning", epoch=1, epochs=4, step=0, steps=10, seconds_left=8.0)
    live.session = replace(live.session, planned_epochs=9, control=(), progress=progress)
    planned = 9 - len(live.session.epochs)
    assert heading.seconds_left(live) == pytest.approx(2.0 * planned)  # two seconds an epoch
    live.session = replace(live.session, planned_epochs=0)
    assert heading.seconds_left(live) == 8.0
    live.session = replace(live.session, progress=None)
    assert heading.seconds_left(live) is None


def test_the_network_is_said_by_its_widths(told):
    assert heading.network(told()) == "digits, mlp 64-300-100-10, seed 0"


def test_a_failed_run_says_what_where_and_what_to_do(told):
    lines = said(heading.trouble(LiveRun(told("failed")), 120))
    assert "failed: the worker was killed by signal 9" in lines
    assert "(while pruning)" in lines
    assert "prune-tui resume" in lines


def test_a_lost_runner_says_so():
    live = LiveRun(Session())
    live.lost = "the runner ended without a word"
    assert heading.state_word(live) == "failed"
    assert "the runner ended without a word" in said(heading.trouble(live, 80))


def test_every_curve_prints_its_number(told):
    lines = said(curves.paint(told("pruning"), 60, 4, curves.View()))
    for number in ("88.6 %", ".968", ".976", ".143"):
        assert number in lines


def test_curves_survive_what_is_not_finite():
    session = Session()
    for epoch, loss in enumerate(("nan", "inf", 0.5), start=1):
        session = session.apply(
            EpochEnded(seq=epoch, epoch=epoch, phase="training", loss=loss, metric="nan", validation="nan",
                       series={"pq index": "nan"})
        )  # fmt: skip
    for view in (curves.View(), curves.View(log=True, smoothing=0.9, cursor=1)):
        lines = curves.paint(session, 50, 8, view)
        assert all(length(one) <= 50 for one in lines)
    assert "pq index" in said(curves.paint(session, 50, 8, curves.View()))


def test_the_cursor_prints_the_number_of_its_epoch(told):
    session = told()
    lines = said(curves.paint(session, 60, 5, curves.View(cursor=1)))
    assert "at epoch 2" in lines
    assert "29.7 %" in lines


def test_an_overlay_is_below_its_curve(told):
    lines = said(curves.paint(told("pruning"), 60, 12, curves.View(overlay=told())))
    assert lines.count("earlier") == 4


def test_the_epoch_table_marks_the_dense_control(told):
    rows = [plain(row) for row in tables.epochs(told(), 56)]
    assert len(rows) == 23
    assert "dense" in rows[0]
    assert "prune" in rows[8]
    assert "recover" in rows[-1]
    assert len({len(row) for row in rows}) == 1


@pytest.mark.parametrize("width", [38, 40, 48, 60, 110])
def test_layer_rows_have_one_width_and_never_burst(told, width):
    rows = [of for _, of in tables.layers(told(), width)]
    assert len({length(of) for of in rows}) == 1
    assert length(rows[0]) <= width
    assert "1,575" in plain(rows[0])


def test_a_layer_that_emptied_is_an_error():
    session = Session(layers=(LayerState(key="a/kernel", shape=(2, 2), weights=4, kept=0),))
    ((_, of),) = tables.layers(session, 60)
    assert ("100.0 %", "error") in [(text.strip(), style) for text, style in of]


def test_layers_show_units_and_a_methods_numbers(told):
    row = LayerState(key="a/kernel", shape=(4, 5), weights=20, kept=8, units=5, units_kept=2, numbers={"mu": 0.5})
    ((_, of),) = tables.layers(Session(layers=(row,)), 100)
    assert "2/5 u" in plain(of)
    assert "0.5" in plain(of)


def test_the_log_is_newest_first(told, utc):
    rows = [plain(row) for row in tables.log(told(), 60)]
    assert rows[0] == " 11:02:31 done"
    assert "! the sparse kernels are not faster here" in rows[2]


def test_the_result_keeps_measured_and_theory_apart(told):
    lines = said(result.paint(told(), 60))
    assert "test accuracy" in lines
    assert "-.006" in lines
    assert "1.0x speed" in lines
    assert "speed in theory" in lines
    assert "98.3 %" in lines
    assert "percentile" in lines  # the method's own table
    assert all(length(one) <= 60 for one in result.paint(told(), 60))


def test_nothing_measured_nothing_said(told):
    assert result.paint(told("pruning"), 60) == []


def test_any_table():
    rows = tables.table({"a": [1, 2.5], "b": ["x", None]}, 40)
    assert [plain(row).split() for row in rows] == [["a", "b"], ["1", "x"], ["2.5", "–"]]
    assert "and 3 more rows" in said(tables.table([{"k": i} for i in range(8)], 40, most=5))
    assert said(tables.table({"deep": {"x": 1}, "yes": True}, 40)).split() == ["deep", "x", "1", "yes", "yes"]


def test_a_stopped_run_is_not_an_error():
    live = LiveRun(Session().apply(Finished(seq=1, state="stopped", words="stopped on request")))
    (line,) = heading.trouble(live, 80)
    assert plain(line).strip() == "stopped on request"
    assert not math.isnan(heading.share(live))


def test_waiting_says_for_what():
    live = LiveRun(Session())
    live.starting = True
    assert "TensorFlow takes some seconds to load" in said(heading.trouble(live, 80))
    assert heading.trouble(LiveRun(Session()), 80) == []


def test_the_dense_time_comes_from_the_reference_where_it_was_measured_there(told):
    from msgspec.structs import replace

    session = told()
    dense = {k: v for k, v in session.dense.items() if k != "latency"}
    pruned = {**session.pruned, "reference": {"latency": [{"batch_size": 1, "median": 0.44}]}}
    assert "0.440 ms" in said(result.paint(replace(session, dense=dense, pruned=pruned), 60))


def test_a_dense_model_that_was_kept_is_the_control(told):
    from msgspec.structs import replace

    session = replace(told("pruning"), control=(), dense={"validation": 0.988})
    accuracy = figures.figures(session)[1]
    assert (accuracy.below, accuracy.more) == ("-.020", "dense .988")
    assert result.paint(session, 60) == []


def test_a_methods_table_is_shown_while_it_grows(told):
    from msgspec.structs import replace

    rows = [{"round": 1, "kept": 0.8}, {"round": 2, "kept": "nan"}]
    lines = said(result.paint(replace(told("pruning"), results={"rounds": rows}), 60))
    assert "rounds" in lines
    assert "0.8" in lines
    assert "test accuracy" not in lines  # nothing was measured yet
