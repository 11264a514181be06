"""Checkpoints: what comes back, what is refused, and caches that cannot be read or written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import ml_dtypes
import numpy as np
import pytest

from engine.errors import PruneError
from engine.events import Noted
from engine.recipe import Recipe
from engine.recipe_reading import recipe_from
from engine.running import checkpoint
from engine.running.context import Run
from engine.running.executing import execute
from engine.yaml12 import parse

BASE = """
name: kept
data: {name: digits, limit: 64}
model: {name: mlp, hidden: [8]}
train: {epochs: 1, batch_size: 32}
prune: {target: {sparsity: 0.5}}
measure: {latency: null}
"""


def recipe(**overrides: Any) -> Recipe:
    return recipe_from(parse(BASE), overrides=overrides)


def test_arrays_and_state_come_back_as_they_were(tmp_path: Path) -> None:
    small = np.array([1.5, -2.25], ml_dtypes.bfloat16)
    arrays = {"weights": {"a/b": np.arange(6.0).reshape(2, 3), "half": small}, "masks": {"a/b": np.eye(2, 3) > 0}}
    checkpoint.save(tmp_path, arrays=arrays, state={"stage": 3, "nan": "nan"})
    back, state = checkpoint.load(tmp_path)
    assert state == {"stage": 3, "nan": "nan"}
    assert back["weights"]["half"].dtype == small.dtype
    assert all((back[g][k] == a).all() for g, members in arrays.items() for k, a in members.items())


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5])
def test_a_torn_checkpoint_is_said_in_words(tmp_path: Path, keep: float) -> None:
    checkpoint.save(tmp_path, arrays={"weights": {"a": np.zeros(400)}}, state={})
    path = tmp_path / checkpoint.FILE
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(len(whole) * keep)])
    with pytest.raises(PruneError, match="cannot be read"):
        checkpoint.load(tmp_path)


def test_a_torn_entry_of_the_cache_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNE_TUI_CACHE", str(tmp_path))
    execute(recipe(), lambda _: None)
    [entry] = tmp_path.rglob("state.npz")
    entry.write_bytes(entry.read_bytes()[:500])
    told: list[Any] = []
    execute(recipe(), told.append)
    assert not any(getattr(e, "cached", False) for e in told)
    checkpoint.load(entry.parent.parent)  # whole again


def test_a_cache_that_cannot_be_written_costs_a_warning_and_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PRUNE_TUI_CACHE", str(tmp_path / "file"))
    told: list[Any] = []
    execute(recipe(), told.append)
    assert told[-1].state == "done"
    assert any("cannot be kept" in e.words for e in told if isinstance(e, Noted) and e.level == "warning")


def test_a_dense_model_of_other_images_in_the_same_folder_is_not_reused(tmp_path: Path) -> None:
    from engine.running.dense import cache_key

    inner = tmp_path / "images" / "cats"
    inner.mkdir(parents=True)
    (inner / "a.png").write_bytes(b"one")
    run = Run(recipe(data={"folder": str(tmp_path / "images")}), lambda _: None, folder=None, control=None)  # type: ignore[arg-type]
    first = cache_key(run)
    assert first == cache_key(run)
    (inner / "a.png").write_bytes(b"another")
    assert cache_key(run) != first


def test_mixed_precision_computes_in_16_bits_and_ends_in_32(tmp_path: Path) -> None:
    run = execute(recipe(**{"train.mixed_precision": True}), lambda _: None, folder=tmp_path)
    policies = {layer.name: (layer.compute_dtype, layer.variable_dtype) for layer in run.model.layers}
    assert policies["dense_1"] == ("float16", "float32")
    assert policies["output"] == ("float32", "float32")
    assert keras.config.dtype_policy().name == "float32"
    assert execute(recipe(**{"train.mixed_precision": True}), lambda _: None, folder=tmp_path, resume=True).model


def test_movement_is_added_up_without_the_factor_of_a_scaled_loss() -> None:
    settings = {
        "prune.criterion": "movement", "prune.schedule": {"name": "cubic", "begin": 0, "end": 2, "frequency": 1},
        "train.epochs": 3, "measure.dense_control": False,
    }  # fmt: skip
    plain = execute(recipe(**settings), lambda _: None).arrays["movement"]
    mixed = execute(recipe(**settings, **{"train.mixed_precision": True}), lambda _: None).arrays["movement"]
    for key, sums in plain.items():
        assert np.isfinite(mixed[key]).all()
        assert np.abs(mixed[key]).sum() < 10 * np.abs(sums).sum()  # the factor is 32,768 at first


def test_a_model_in_bfloat16_is_resumed(tmp_path: Path) -> None:
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, dtype="bfloat16", name="output")]
    keras.Sequential(layers).save(tmp_path / "small.keras")
    made = recipe(model={"file": str(tmp_path / "small.keras")})
    run = execute(made, lambda _: None, folder=tmp_path / "run")
    whole = [np.asarray(v.numpy(), np.float32) for v in run.model.weights]
    again = execute(made, lambda _: None, folder=tmp_path / "run", resume=True)
    assert all((a == np.asarray(v.numpy(), np.float32)).all() for a, v in zip(whole, again.model.weights, strict=True))


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    execute(recipe(), lambda _: None, folder=tmp_path / "a")
    arrays, state = checkpoint.load(tmp_path / "a")
    arrays["weights"].pop("dense_1/kernel")
    checkpoint.save(tmp_path / "a", arrays=arrays, state=state)
    with pytest.raises(PruneError, match="another model"):
        execute(recipe(), lambda _: None, folder=tmp_path / "a", resume=True)
    shutil.rmtree(tmp_path / "a")


def test_a_file_that_names_its_weights_anew_at_every_load_is_refused_in_words(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("prune_tui_tests")
    class Wrapped(keras.layers.Layer):  # type: ignore[misc, unused-ignore]
        def __init__(self, **kw: Any) -> None:
            super().__init__(**kw)
            self.inner = keras.layers.Dense(10)

        def build(self, shape: Any) -> None:
            self.inner.build(shape)

        def call(self, x: Any) -> Any:
            return self.inner(x)

    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), Wrapped()]).save(tmp_path / "own.keras")
    with pytest.raises(PruneError, match="anew at every load"):
        execute(recipe(model={"file": str(tmp_path / "own.keras")}), lambda _: None)
