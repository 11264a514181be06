"""Clocks, with clocks that we hold."""

from __future__ import annotations

import time

import pytest

from engine.measurement.timing import interleaved, summary


def test_calls_take_turns():
    seen: list[str] = []

    def call(name: str):
        def run() -> None:
            seen.append(name)
            time.sleep(0.003)

        return run

    samples = interleaved({"a": call("a"), "b": call("b")}, repeats=6, warm_up=1)
    assert [len(s) for s in samples.values()] == [6, 6]
    assert "".join(seen[-12:]) == "abba" * 3
    assert all(s >= 0.003 for s in samples["a"])


def test_the_budget_cuts_samples_but_never_below_five():
    samples = interleaved({"slow": lambda: time.sleep(0.01)}, repeats=30, seconds=0.02, warm_up=0)
    assert len(samples["slow"]) == 5


def test_a_summary_is_milliseconds_and_ratios_of_pairs():
    found = summary(32, [0.001, 0.002, 0.003, 0.004, 0.005], [0.002, 0.002, 0.003, 0.002, 0.020])
    assert (found.batch_size, found.repeats) == (32, 5)
    assert (found.median, found.low, found.high, found.minimum) == pytest.approx((3.0, 2.0, 4.0, 1.0))
    # ratios 2, 1, 1, 0.5, 4
    assert (found.speedup, found.speedup_low, found.speedup_high) == pytest.approx((1.0, 1.0, 2.0))


def test_without_a_reference_there_is_no_speedup():
    assert summary(1, [0.001]).speedup is None
