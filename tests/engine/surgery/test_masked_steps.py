"""Texts with padding: the mask that an Embedding sends along is no obstacle, and the smaller model still obeys it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from engine.surgery import remove, shrink_with_report

L = keras.layers
WORDS = np.array([[3, 8, 1, 19, 4, 7], [5, 2, 11, 0, 0, 0], [6, 0, 0, 0, 0, 0]], "int32")


def lstm(x):
    return L.LSTM(5, name="unit", return_sequences=True)(x)


def last_state(x):
    return L.GRU(5, name="unit")(x)


def handed_on(x):
    y, h, c = L.LSTM(5, name="first", return_sequences=True, return_state=True)(x)
    return L.LSTM(5, name="unit", return_sequences=True)(y, initial_state=[h, c])


def both_ways(x):
    return L.Bidirectional(L.SimpleRNN(5, return_sequences=True), name="unit")(x)


def scaled(x):
    return L.Dense(5, name="unit")(L.Lambda(lambda t: t * 2.0)(x))


def build(make):
    keras.utils.clear_session()
    i = keras.Input((6,), dtype="int32")
    x = make(L.Embedding(20, 8, mask_zero=True, name="words")(i))
    return keras.Model(i, L.Dense(3)(L.GlobalAveragePooling1D()(x) if len(x.shape) == 3 else x))


def silence(layer, unit, reference):
    if isinstance(layer, L.Bidirectional):
        silence(layer.forward_layer, unit, reference)
        silence(layer.backward_layer, unit, reference)
    elif isinstance(layer, L.RNN):
        reference._still(layer.cell, np.array([unit]))
    else:
        for v in layer.weights:
            value = v.numpy()
            value[..., unit] = 0
            v.assign(value)


@pytest.mark.filterwarnings("ignore:Layer 'lambda'")
@pytest.mark.parametrize("make", [lstm, last_state, handed_on, both_ways, scaled], ids=lambda f: f.__name__)
def test_units_behind_a_mask_go(make, reference):
    model = reference.randomize(build(make))
    done = remove(model, {"words": [3], "unit": [1]})
    assert done.report.skipped == ()
    silent = {"words": 3, "unit": 1, **({"first": 1} if make is handed_on else {})}
    for name, unit in silent.items():
        silence(model.get_layer(name), unit, reference)
    want = np.asarray(model(WORDS))
    assert reference.difference([done.model(WORDS)], [want]) < 1e-5
    other = WORDS.copy()
    other[:, 5] = [7, 9, 0]  # a word in a padded place is another text, so the mask is alive
    assert reference.difference([done.model(other)], [model(other)]) < 1e-5
    assert reference.difference([done.model(other)[1:2]], [want[1:2]]) > 1e-3
    shrunk = shrink_with_report(model)
    assert reference.difference([shrunk.model(WORDS)], [want]) < 1e-5
    assert "unit" in shrunk.report.removed
