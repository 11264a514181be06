"""Optimizers: how training steps are made. All are Keras' own."""

from __future__ import annotations

from typing import Any

from engine.catalog.entry import Entry, Param


def _rate(default: float) -> Param:
    return Param(
        name="learning_rate",
        type="float",
        doc="the highest learning rate; its course is `train.learning_rate`",
        default=default,
        low=0.0,
    )


def _decay(default: float | None = None) -> Param:
    doc = "decoupled weight decay: each step takes learning rate times this share off every weight"
    return Param(name="weight_decay", type="float", doc=doc, default=default, low=0.0, high=1.0, optional=True)


def _share(name: str, doc: str, default: float) -> Param:
    return Param(name=name, type="float", doc=doc, default=default, low=0.0, high=1.0)


_COMMON = (
    Param(name="clipnorm", type="float", doc="clip each variable's gradient to this norm", low=0.0, optional=True),
    Param(name="global_clipnorm", type="float", doc="clip all gradients together to this norm", low=0.0, optional=True),
    Param(name="use_ema", type="bool", doc="end with a moving average of the weights", default=False),
    _share("ema_momentum", "of that average", 0.99),
)
_BETAS = (
    _share("beta_1", "decay of the mean gradient", 0.9),
    _share("beta_2", "decay of the mean squared gradient", 0.999),
)


def _entry(name: str, title: str, summary: str, formula: str, source: str, *params: Param, **more: Any) -> Entry:
    return Entry(
        kind="optimizer",
        name=name,
        title=title,
        summary=summary,
        formula=formula,
        source=source,
        params=(*params, *_COMMON),
        words=f"{title} at {{learning_rate}}",
        **more,
    )


ENTRIES = (
    _entry(
        "adam",
        "Adam",
        "Steps of a size that each weight's own gradients set.",
        "w <- w - a m / (sqrt(v) + eps)",
        "Kingma & Ba 2015",
        _rate(0.001),
        *_BETAS,
        _decay(),
        when="The safe choice.",
    ),
    _entry(
        "sgd",
        "SGD",
        "Steps along the gradient, with momentum.",
        "u <- mu u - a g; w <- w + u",
        "Robbins & Monro 1951; Sutskever et al. 2013",
        _rate(0.01),
        _share("momentum", "share of the last step that goes on", 0.9),
        Param(name="nesterov", type="bool", doc="Nesterov's look ahead", default=False),
        _decay(),
        when="With a falling learning rate, the choice of most papers on images.",
    ),
    _entry(
        "adamw",
        "AdamW",
        "Adam with decoupled weight decay.",
        "w <- w - a (m / (sqrt(v) + eps) + lambda w)",
        "Loshchilov & Hutter 2019",
        _rate(0.001),
        *_BETAS,
        _decay(0.004),
        when="Where weights should stay small.",
    ),
    _entry(
        "rmsprop",
        "RMSprop",
        "Gradients divided by their recent size.",
        "w <- w - a g / sqrt(v + eps)",
        "Hinton 2012, lecture 6e",
        _rate(0.001),
        _share("rho", "decay of the mean squared gradient", 0.9),
        _share("momentum", "share of the last step that goes on", 0.0),
        _decay(),
    ),
    _entry(
        "muon",
        "Muon",
        "Momentum made orthogonal for kernels of Dense layers, AdamW for everything else.",
        "W <- W - a orthogonal(momentum)",
        "Jordan et al. 2024",
        _rate(0.001),
        _share("momentum", "share of the last step that goes on", 0.95),
        _decay(0.004),
    ),
    _entry(
        "lion",
        "Lion",
        "Steps of one size along the sign of the momentum.",
        "w <- w - a sign(beta_1 m + (1 - beta_1) g)",
        "Chen et al. 2023",
        _rate(0.0001),
        _share("beta_1", "momentum of the step", 0.9),
        _share("beta_2", "momentum that is kept", 0.99),
        _decay(),
    ),
    _entry(
        "lamb",
        "LAMB",
        "Adam with steps in proportion to each layer's norm.",
        "w <- w - a |w| / |r| r, r = m / (sqrt(v) + eps)",
        "You et al. 2020",
        _rate(0.001),
        *_BETAS,
        _decay(),
        when="Large batches.",
    ),
)
