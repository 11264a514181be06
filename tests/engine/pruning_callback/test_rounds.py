"""Rounds with the callback: rewinds, SAP, n:m along a curve, shares of layers and of the output."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import engine
from engine.pruning_callback import Pruning

STEPS, TOTAL = 8, 60 + 30  # of an epoch; of both kernels


def test_iterative_rewinds_to_the_start(net: Any, fit: Any) -> None:
    model = net(keras.optimizers.Adam(0.05))
    start = model.get_weights()
    seen: dict[int, list[Any]] = {}

    class Look(keras.callbacks.Callback):  # type: ignore[misc, valid-type]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            seen[epoch] = [*self.model.get_weights(), int(self.model.optimizer.iterations.numpy())]

    pruning = Pruning(schedule="iterative", share=0.5, rewind="init", sparsity=0.75)
    fit(model, pruning, Look(), epochs=3)
    assert [(e.step, round(e.sparsity * TOTAL)) for e in pruning.history] == [(8, 45), (16, 67)]
    masks = pruning.masks.arrays() if pruning.masks else {}
    np.testing.assert_array_equal(seen[2][0], np.where(masks["a/kernel"], start[0], 0))
    np.testing.assert_array_equal(seen[2][1], start[1])  # the bias, too
    assert seen[2][-1] == 0  # and the optimizer


def test_iterative_rewinds_to_an_early_step_or_not_at_all(net: Any, fit: Any) -> None:
    model = net()
    early: list[Any] = []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: early.append(model.get_weights()[1]) if len(early) < 2 else None
    )
    state: list[Any] = []
    after = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: state.append(model.get_weights()[1]))
    pruning = Pruning(schedule="iterative", rounds=1, rewind="early", rewind_to=2, sparsity=0.5)
    fit(model, pruning, look, after)
    np.testing.assert_array_equal(state[1], early[1])
    kept = Pruning(schedule="iterative", rounds=1, rewind="none", sparsity=0.5)
    fit(net(), kept)
    assert [e.step for e in kept.history] == [8]


def test_sap_prunes_as_its_index_says(net: Any, fit: Any) -> None:
    model = net()
    pruning = Pruning(schedule="iterative", target="pq_index", rounds=2, rewind="none", scope="layer")
    kept: list[int] = []

    class Look(keras.callbacks.Callback):  # type: ignore[misc, valid-type]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if len(kept) == 0 and batch == STEPS - 1:  # before Pruning, which comes after it
                kept.append(engine.sap_keep(self.model.get_weights()[0]))

    fit(model, Look(), pruning, epochs=3)
    assert pruning.masks is not None
    assert len(pruning.history) == 2
    assert 0 < int(pruning.masks.arrays()["a/kernel"].sum()) <= kept[0]


def test_n_of_m_needs_no_sparsity_and_is_reached_along_the_curve(net: Any, fit: Any, gone: Any) -> None:
    model = net()
    pruning = Pruning(granularity="2:4", begin=0, end=12, frequency=4)
    fit(model, pruning)
    targets = [0.5 - 0.5 * (1 - t / 12) ** 3 for t in (0, 4, 8, 12)]
    np.testing.assert_allclose([e.target for e in pruning.history], targets)
    # Layer by layer: of 60 weights 21 are due, but groups of 4 and 2 inputs only give 20; of the other 30, 10 are.
    assert [round(e.sparsity * TOTAL) for e in pruning.history][:2] == [0, 20 + int(30 * targets[1])]
    assert (model.get_layer("a").kernel.numpy()[:4] != 0).sum() == 20
    assert gone(model) == 20 + 12


def test_rounds_with_a_skipped_layer_cut_their_share_of_the_others(net: Any, fit: Any) -> None:
    pruning = Pruning(schedule="iterative", share=0.5, rewind="none", sparsity=0.75, skip=["b"])
    fit(net(), pruning, epochs=3)
    assert [round(e.sparsity * TOTAL) for e in pruning.history] == [30, 45]


def test_rounds_of_units_cut_whole_units(net: Any, fit: Any) -> None:
    pruning = Pruning("l2_norm", granularity="unit", schedule="iterative", share=0.25, rewind="none", sparsity=0.6)
    fit(net(), pruning, epochs=5)
    # Of ten units ceil(0.25 * 10) = 3 go, then ceil(0.25 * 7) = 2, then the sixth: the target.
    assert [e.target for e in pruning.history] == [0.3, 0.5, 0.6, 0.6]
    assert pruning.masks is not None
    assert [int(m.sum()) for key, m in pruning.masks.arrays().items() if key == "a/bias"] == [4]


def test_rounds_to_a_target_of_nothing(net: Any, fit: Any) -> None:
    pruning = Pruning(schedule="iterative", sparsity=0.0)
    fit(net(), pruning)
    assert pruning.history == []


def test_a_schedule_given_as_a_part_is_the_one_of_its_name(net: Any, fit: Any) -> None:
    from engine.schedules.iterative import Iterative

    by_name = Pruning(schedule="iterative", share=0.5, rewind="init", sparsity=0.75)
    as_part = Pruning(schedule=Iterative(share=0.5, rewind="init"), sparsity=0.75)
    models = [net(), net()]
    for model, pruning in zip(models, (by_name, as_part), strict=True):
        fit(model, pruning, epochs=3)
    assert as_part.history == by_name.history
    assert len(by_name.history) == 2


def test_rounds_may_cut_less_of_the_output(net: Any, fit: Any) -> None:
    pruning = Pruning(schedule="iterative", share=0.2, output_share=0.1, scope="layer", rewind="init", sparsity=0.36)
    fit(net(), pruning, epochs=3)
    assert pruning.masks is not None
    a, b = pruning.masks.arrays().values()
    assert (int((~a).sum()), int((~b).sum())) == (21, 6)  # floor(0.36 * 60); ceil(0.1 * 30) + ceil(0.1 * 27)


def test_rounds_of_units_may_skip_a_layer_that_keeps_its_units_anyway(net: Any, fit: Any) -> None:
    model = net()
    pruning = Pruning(
        "l2_norm", granularity="unit", schedule="iterative", share=0.5, rewind="none", sparsity=0.75, skip=["b"]
    )
    fit(model, pruning, epochs=3)
    assert int((np.abs(model.get_layer("a").kernel.numpy()).sum(axis=0) > 0).sum()) == 3  # of 10: 5, then 3


def test_movement_of_units_is_added_up_over_training(net: Any, fit: Any) -> None:
    model = net(keras.optimizers.SGD(0.1))
    moved = np.zeros((6, 10))
    before: list[Any] = []

    class Follow(keras.callbacks.Callback):  # type: ignore[misc, valid-type]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            before[:] = [self.model.get_layer("a").kernel.numpy()]

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            moved[...] += before[0] * (self.model.get_layer("a").kernel.numpy() - before[0])  # lr times -w dL/dw

    pruning = Pruning("movement", granularity="unit", schedule="one_shot", sparsity=0.6)
    fit(model, Follow(), pruning)
    stays = np.abs(model.get_layer("a").kernel.numpy()).sum(axis=0) > 0
    assert set(np.flatnonzero(stays)) == set(np.argsort(moved.sum(axis=0))[-4:])
