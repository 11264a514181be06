from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine.errors import PruneError
from engine.registry import make
from engine.schedules.base import Schedule
from engine.schedules.dynamic import Dynamic, change


def test_cubic_by_hand():
    curve = engine.schedule("cubic", initial=0.2, final=0.8, begin=100, end=500)
    assert curve(0) == curve(100) == pytest.approx(0.2)
    assert curve(300) == pytest.approx(0.8 - 0.6 * 0.5**3)
    assert curve(200) == pytest.approx(0.8 - 0.6 * 0.75**3)
    assert curve(500) == curve(10_000) == 0.8
    assert engine.schedule("cubic", final=0.9, begin=0, end=10, power=1)(5) == pytest.approx(0.45)


def test_cubic_ends_at_its_end_whatever_the_frequency():
    made = make("schedule", "cubic", {"begin": 0.1, "end": 0.75, "frequency": 100})
    assert made.events(1000) == (100, 200, 300, 400, 500, 600, 700, 750)
    assert made.sparsity(750, 1000, 0.9) == 0.9
    assert make("schedule", "cubic", {"begin": 0, "end": 95, "frequency": 1000}).events(200) == (0, 95)
    assert make("schedule", "cubic", {"begin": 50, "end": 50}).events(200) == (50,)
    assert make("schedule", "cubic", {"begin": 0, "end": 500}).events(200) == (0, 100, 200)  # training ends first


def test_cubic_of_one_moment():
    curve = engine.schedule("cubic", initial=0.2, final=0.5, begin=10, end=10)
    assert [curve(t) for t in (0, 9, 10, 11)] == [0.2, 0.2, 0.5, 0.5]
    assert curve.events() == (10,)


def test_shares_are_decimals_and_steps_are_whole():
    one_step = make("schedule", "cubic", {"begin": 0, "end": 1})
    all_of_it = make("schedule", "cubic", {"begin": 0, "end": 1.0})
    assert one_step.events(300)[-1] == 1
    assert all_of_it.events(300)[-1] == 300
    with pytest.raises(PruneError, match="total_steps"):
        engine.schedule("cubic", final=0.5, begin=0.1, end=0.5)
    assert engine.schedule("cubic", final=0.5, begin=0.1, end=0.5, total_steps=100)(50) == 0.5
    with pytest.raises(PruneError, match="neither"):
        engine.schedule("cubic", final=0.5, begin=0, end=10.5)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 500), st.integers(0, 500), st.floats(0, 1), st.floats(0.5, 5), st.integers(1, 700))
def test_cubic_rises_and_reaches_the_target(begin, end, final, power, frequency):
    made = make("schedule", "cubic", {"begin": begin, "end": end, "power": power, "frequency": frequency})
    events = made.events(500)
    values = [made.sparsity(t, 500, final) for t in events]
    assert list(events) == sorted(set(events))
    assert all(a <= b + 1e-12 for a, b in pairwise(values))
    assert values[-1] == final


def test_once():
    assert make("schedule", "one_shot").events(70) == (70,)
    assert make("schedule", "at_init").events(70) == (0,)
    assert (engine.schedule("at_init", final=0.9)(3), engine.schedule("drop_grow", final=0.9)(3)) == (0.9, 0.9)
    one, init = (engine.schedule(n, final=0.9, total_steps=70) for n in ("one_shot", "at_init"))
    assert (one(69), one(70), init(0)) == (0.0, 0.9, 0.9)


def test_iterative_rounds():
    rounds = make("schedule", "iterative", {"share": 0.2})
    # 0.8^r: 0.8, 0.64, 0.512, 0.4096, ..., 0.8^10 = 0.107, 0.8^11 = 0.086: eleven rounds to 90 %.
    plan = rounds.plan(0.9)
    assert plan[:3] == pytest.approx((0.2, 0.36, 0.488))
    assert (len(plan), plan[-1]) == (11, 0.9)
    assert make("schedule", "iterative", {"rounds": 2}).plan(0.75) == pytest.approx((0.5, 0.75))
    assert rounds.plan(0.0) == ()
    assert rounds.plan(0.2) == (0.2,)
    assert engine.schedule("iterative", share=0.5, final=0.9)(2) == 0.75
    # n = ceil(0.2 * 266200) = 53240; the next round ceil(0.2 * 7) = 2 of 7.
    assert rounds.cut(266_200, 266_200) * 266_200 == 53_240
    assert rounds.cut(10, 7) * 10 == 5
    assert make("schedule", "iterative", {"rewind": "early", "rewind_to": 0.1}).early(200) == 20


@pytest.mark.parametrize(
    ("params", "final", "count"),
    [
        ({"share": 0.2}, 0.0, 0),
        ({"rounds": 3}, 0.0, 0),
        ({"share": 0.1}, 0.19, 2),
        ({"share": 0.5}, 0.75, 2),
        ({"share": 0.5}, 0.7501, 3),
        ({"share": 0.5}, 1.0, 10),
        ({"share": 0.9}, 0.1, 1),
        ({"share": 1e-4}, 0.99, 46050),
        ({"rounds": 7}, 0.9, 7),
    ],
)
def test_how_many_rounds(params, final, count):
    assert make("schedule", "iterative", params).count(final) == count


def test_a_round_asks_for_whole_weights():
    by_share = make("schedule", "iterative", {"share": 0.2})
    left, seen = 10, []
    for index in range(by_share.count(0.7)):
        left = 10 - by_share.after(index, 0.7, total=10, left=left) * 10
        seen.append(left)
    assert seen == [8, 6, 4, 3, 3, 3]  # ceil(0.2 * 8), ceil(0.2 * 6), ceil(0.2 * 4), then no more than the target
    equal = make("schedule", "iterative", {"rounds": 2})
    assert [float(equal.after(i, 0.99, total=1000, left=0)) for i in (0, 1)] == [0.9, 0.99]
    assert by_share.after(0, 0.7, total=0, left=0) == Fraction(7, 10)  # every layer is excepted


def test_names_are_checked():
    with pytest.raises(PruneError, match="cubic"):
        engine.schedule("cubik")
    with pytest.raises(PruneError, match="no parameter 'beginn'"):
        engine.schedule("cubic", beginn=3)
    with pytest.raises(PruneError, match="follows the network"):
        engine.schedule("dynamic")
    for name in ("one_shot", "at_init", "cubic", "iterative", "drop_grow"):
        assert isinstance(make("schedule", name), Schedule)


def test_settled():
    rule = Dynamic(tau=0.02, max_wait=3)
    assert rule.settled({"a": 0.01, "b": 0.5, "c": 0.02}, waited=1) == ["a", "c"]
    assert rule.settled({"a": 0.4, "b": 0.3}, waited=2) == []
    assert rule.settled({"a": 0.4, "b": 0.3}, waited=3) == ["b"]
    assert rule.settled({}, waited=9) == []
    assert change(1.1, 1.0) == pytest.approx(0.1)
    assert change(0.0, 0.0) == 0.0
