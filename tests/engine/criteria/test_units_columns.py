"""The arithmetic of unit criteria on plain columns."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from scipy.spatial.distance import cdist

from engine.criteria.bn_scale import BnScale, scale_penalty
from engine.criteria.column_norm import fold_factor
from engine.criteria.fpgm import distance_sums
from engine.criteria.unit_context import NormValues


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 30))
@settings(deadline=None, max_examples=30)
def test_distances_are_those_of_scipy(seed, units, fan):
    columns = np.random.default_rng(seed).normal(5.0, 1.0, (fan, units))
    assert distance_sums(columns) == pytest.approx(cdist(columns.T, columns.T).sum(axis=0), rel=1e-6, abs=1e-6)


def test_a_filter_in_the_middle_scores_least():
    columns = np.array([[0.0, 1.0, 2.0, 3.0, 4.0]])
    assert distance_sums(columns).tolist() == pytest.approx([10, 7, 6, 7, 10])


def test_the_factor_of_a_batchnorm():
    norm = NormValues(np.array([-2.0, 3.0]), np.array([3.0, 0.0]), 1.0)
    assert fold_factor(norm).tolist() == [1.0, 3.0]
    assert fold_factor(NormValues(None, np.array([3.0, 0.0]), 1.0)).tolist() == [0.5, 1.0]


def test_the_training_term_and_its_gradient():
    import tensorflow as tf

    model = keras.Sequential(
        [keras.Input((3,)), layers.BatchNormalization(), layers.Dense(2), layers.BatchNormalization(scale=False)]
    )
    gamma = model.layers[0].gamma
    gamma.assign([1.0, -2.0, 0.5])
    with tf.GradientTape() as tape:
        term = BnScale(penalty=0.1).training_term(model)
    assert float(term) == pytest.approx(0.35)
    assert tape.gradient(term, gamma.value).numpy() == pytest.approx([0.1, -0.1, 0.1])
    assert float(scale_penalty(keras.Sequential([keras.Input((3,)), layers.Dense(2)]), 1.0)) == 0.0
