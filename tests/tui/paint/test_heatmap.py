import pytest

from engine.events import Result
from engine.session import Session
from tui.paint import heatmap, result, spreads
from tui.paint.lines import length, plain

VALUE = {
    "metric": "accuracy", "direction": "max", "dense": 0.9, "sparsities": [0.0, 0.5, 0.9], "layers": ["a/kernel", "b"],
    "table": {"a/kernel": {"0": 0.9, "0.5": 0.897, "0.9": 0.3}, "b": {"0": 0.9, "0.5": "nan"}},
}  # fmt: skip


def shown(value, width=60, shares=None):
    return [plain(row).rstrip() for row in heatmap.paint(value, shares, width)]


def test_a_block_and_a_number_a_cell_and_a_dot_where_it_is_not_known_yet():
    rows = shown(VALUE)
    assert rows[0].split() == ["layer", "50%", "90%"]
    assert rows[1].split() == ["a", "█.897", "!.300"]
    assert rows[2].split() == ["b", "–", "·"]
    assert rows[-1] == " 3 of 4 cells"


def test_where_less_is_better():
    value = {**VALUE, "direction": "min", "dense": 1.0, "table": {"a/kernel": {"0.5": 1.1, "0.9": 0.9}}}
    assert shown(value)[1].split() == ["a", "░", "1.1", "█.900"]


def test_what_is_taken():
    assert " taken: a 50 %, b 95 %; 76.9 % of all" in shown(
        VALUE, shares={"per_layer": {"a/kernel": 0.5, "b": 0.95}, "sparsity": 0.769}
    )


def test_it_fits_any_width():
    value = {**VALUE, "sparsities": [0.1 * i for i in range(10)], "layers": ["a" * 40, "b"]}
    for width in (20, 34, 50, 120):
        assert all(length(row) <= width for row in heatmap.paint(value, None, width))


@pytest.mark.parametrize("width", [30, 62, 100])
def test_the_result_of_a_run_has_it_and_not_the_shares_again(width):
    session = Session().apply(Result(name="sensitivity", value=VALUE))
    session = session.apply(Result(name="shares", value={"per_layer": {"b": 0.5}, "sparsity": 0.4}))
    rows = [plain(row) for row in result.paint(session, width)]
    assert any("█.897" in row for row in rows)
    assert any(row.startswith(" taken: b 50 %") for row in rows)
    assert not any(row.strip() == "shares" for row in rows)


def test_what_is_no_table():
    assert not heatmap.is_heatmap([1])
    assert not heatmap.is_heatmap({"table": 3})


def test_columns_under_the_threshold_are_apart():
    part = {"counts": [0, 2, 4, 0], "top": 4.0, "mean": 2.0, "threshold": 2.0}
    (row, _) = spreads.paint({"dense_1": part}, 70)
    assert plain(row) == " dense_1 ▁▄│█▁ 2  mean 2  up to 4"
    assert ("▁▄", "pruned") in row
    assert ("█▁", "accuracy") in row


def test_a_threshold_beyond_all_columns():
    part = {"counts": [1, 1], "top": 1.0, "mean": 1.0, "threshold": 2.5}
    assert plain(spreads.paint({"a": part}, 70)[0]).startswith(" a ██▸ 2.5")


def test_odd_spreads_are_left_out():
    assert spreads.paint({"a": 3, "b": {"counts": []}, "c": {"counts": [1], "top": "nan"}}, 40) == []
