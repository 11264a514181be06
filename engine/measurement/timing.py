"""Clocks: several callables timed alternately, so that a noisy neighbour disturbs all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from engine.measurement.values import Latency

Call = Callable[[], object]
SAMPLE_SECONDS = 2e-3
"""A sample lasts at least about this long: shorter calls are repeated in it, so that the clock's grain is nothing."""
MOST_CALLS = 64


def interleaved(
    calls: Mapping[str, Call], *, repeats: int = 30, seconds: float = 1.0, warm_up: int = 3
) -> dict[str, list[float]]:
    """Seconds per call, sampled in turns (a b, b a, a b, ...).

    Args:
        calls: what to time, by name. Each must return only when its work is done.
        repeats: samples of each.
        seconds: a budget for each: fewer samples are taken (never below 5) when it would be exceeded.
        warm_up: calls that are not counted (tracing, autotuning, cold caches).

    Returns:
        The samples of each name; those of one index were taken side by side.
    """
    inner: dict[str, int] = {}
    slowest = 0.0
    for name, call in calls.items():
        for _ in range(warm_up):
            call()
        once = min(_time(call, 1) for _ in range(2))
        inner[name] = max(1, min(MOST_CALLS, round(SAMPLE_SECONDS / max(once, 1e-9))))
        slowest = max(slowest, once * inner[name])
    rounds = max(min(5, repeats), min(repeats, int(seconds / max(slowest, 1e-9))))
    samples: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for index in range(rounds):
        for name in order if index % 2 == 0 else reversed(order):
            samples[name].append(_time(calls[name], inner[name]))
    return samples


def summary(batch_size: int, samples: list[float], reference: list[float] | None = None) -> Latency:
    """Median, quartiles and minimum in milliseconds; speed-ups from the samples taken side by side."""
    low, median, high = _quartiles(samples)
    ratios = [r / max(s, 1e-12) for r, s in zip(reference, samples, strict=True)] if reference is not None else []
    ratio_low, ratio, ratio_high = _quartiles(ratios) if ratios else (None, None, None)
    return Latency(
        batch_size=batch_size,
        median=median * 1e3,
        low=low * 1e3,
        high=high * 1e3,
        minimum=min(samples) * 1e3,
        repeats=len(samples),
        speedup=ratio,
        speedup_low=ratio_low,
        speedup_high=ratio_high,
    )


def _time(call: Call, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high
