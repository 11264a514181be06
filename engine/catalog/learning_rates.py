"""The course of the learning rate over a phase of training, as a factor of the optimizer's own."""

from __future__ import annotations

from engine.catalog.entry import Entry, Param

_WARMUP = Param(
    name="warmup",
    type="float",
    doc="share of the phase in which it rises linearly from a hundredth",
    default=0.0,
    low=0.0,
    high=0.9,
)


def _final(default: float, low: float = 0.0) -> Param:
    return Param(name="final", type="float", doc="factor at the end", default=default, low=low, high=1.0)


ENTRIES = (
    Entry(
        kind="learning_rate",
        name="constant",
        title="Constant",
        summary="The same all along.",
        formula="a(t) = a",
        words="constant",
        params=(_WARMUP,),
    ),
    Entry(
        kind="learning_rate",
        name="cosine",
        title="Cosine",
        summary="Falls on half a cosine.",
        formula="a(t) = a (final + (1 - final) (1 + cos(pi t)) / 2), t in [0, 1]",
        source="Loshchilov & Hutter 2017",
        words="falling on half a cosine",
        params=(_final(0.0), _WARMUP),
    ),
    Entry(
        kind="learning_rate",
        name="linear",
        title="Linear",
        summary="Falls on a straight line.",
        formula="a(t) = a (1 + (final - 1) t), t in [0, 1]",
        words="falling linearly",
        params=(_final(0.0), _WARMUP),
    ),
    Entry(
        kind="learning_rate",
        name="step",
        title="Steps",
        summary="Falls by a factor at each of the given shares of the phase.",
        formula="a(t) = a factor^(milestones passed)",
        source="He et al. 2016 (at 1/2 and 3/4)",
        words="falling in steps at {milestones}",
        params=(
            Param(name="milestones", type="floats", doc="shares of the phase", default=(0.5, 0.75), low=0.0, high=1.0),
            Param(name="factor", type="float", doc="factor at each", default=0.1, low=0.0, high=1.0),
            _WARMUP,
        ),
    ),
    Entry(
        kind="learning_rate",
        name="exponential",
        title="Exponential",
        summary="Falls by the same factor in equal times.",
        formula="a(t) = a final^t, t in [0, 1]",
        words="falling exponentially",
        params=(_final(0.01, 1e-12), _WARMUP),
    ),
)
