"""Criteria on answers written by hand: no model, no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from engine.criteria.movement import Movement
from engine.criteria.random import uniform
from engine.layout import LAST
from engine.registry import make

W = np.array([[1.0, -2.0], [3.0, 0.0]])
G = np.array([[0.5, 1.0], [-1.0, 4.0]])


@dataclass
class Answers:
    """A context with one kernel."""

    seed: int = 0
    mask: np.ndarray = field(default_factory=lambda: np.ones((2, 2)))
    kernels: dict = field(default_factory=lambda: {"k": SimpleNamespace(shape=(2, 2), layout=LAST)})

    def dense(self):
        return {"k": W}

    def weights(self):
        return {"k": W * self.mask}

    def gradient(self):
        return {"k": G}

    def gradients(self, *, batch_size=None):
        yield {"k": G}
        yield {"k": -3 * G}

    def curvature(self, *, temperature):
        return {"k": G * temperature}

    def flow(self):
        return {"k": np.abs(G)}

    def input_norms(self):
        return {"k": np.array([[2.0], [10.0]])}


def score(name, mask=None, **params):
    answers = Answers() if mask is None else Answers(mask=np.array(mask))
    return make("criterion", name, params).score(answers)["k"].tolist()


def test_by_hand():
    assert score("magnitude") == [[1, 2], [3, 0]]
    assert score("snip") == [[0.5, 2], [3, 0]]
    assert score("grasp", temperature=2.0) == [[1, -4], [-6, 0]]
    assert score("synflow") == [[0.5, 2], [3, 0]]
    assert score("movement") == [[-0.5, 2], [3, 0]]
    assert score("activation") == [[2, 4], [30, 0]]


def test_force_scores_dense_weights_and_iterative_snip_masked_ones():
    assert score("force", mask=[[0, 1], [1, 1]]) == [[0.5, 2], [3, 0]]
    assert score("iterative_snip", mask=[[0, 1], [1, 1]]) == [[0, 2], [3, 0]]


def test_taylor_is_averaged_over_batches():
    # w g = (0.5, -2; -3, 0) and -3 times that.
    assert score("taylor") == [[(0.25 + 2.25) / 2, (4 + 36) / 2], [(9 + 81) / 2, 0]]
    assert score("taylor", form="abs") == [[1.0, 4.0], [6.0, 0.0]]
    units = {form: make("criterion", "taylor", {"form": form}).units(Answers())["k"].tolist() for form in FORMS}
    assert units == {"square": [1.25 + 45, 20], "abs": [7, 4], "abs_sum": [5, 4]}


FORMS = ("square", "abs", "abs_sum")


def test_random_depends_on_seed_and_key_only():
    one = uniform(0, "a", (3, 2))
    assert np.array_equal(one, uniform(0, "a", (3, 2)))
    assert not np.array_equal(one, uniform(1, "a", (3, 2)))
    assert not np.array_equal(one, uniform(0, "b", (3, 2)))
    assert 0.45 < uniform(0, "a", (10_000,)).mean() < 0.55


def test_movement_rewards_growth():
    # Gradient descent w - 0.1 g makes (1, g = -1) larger and (1, g = 1) smaller.
    assert Movement.step(np.array([1.0, 1.0, -1.0]), np.array([-1.0, 1.0, 1.0])).tolist() == [1, -1, 1]


@pytest.mark.parametrize("name", ["synflow", "force", "iterative_snip"])
def test_iterations(name):
    assert make("criterion", name).iterations == {"synflow": 100}.get(name, 60)
