from __future__ import annotations

from pathlib import Path

import keras
import pytest

from engine.errors import PruneError
from engine.session import Session
from tui.making import FORMATS, make


async def test_an_artefact_is_made_beside_the_run_and_said(tmp_path: Path) -> None:
    Session(run="r", recipe={"name": "r", "data": "digits"}, state="done").save(tmp_path / "session.yaml")
    (tmp_path / "events.jsonl").touch()
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, name="output")])
    model.save(tmp_path / "model.keras")
    words = await make(tmp_path, "packed", {"data": "digits"})
    assert "bytes" in words
    assert (tmp_path / "exports" / "model.packed").is_file()
    assert str(tmp_path / "exports" / "report.html") in await make(tmp_path, "report", {})
    assert (tmp_path / "exports" / "report.html").read_text().startswith("<!")


async def test_what_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(PruneError, match=r"no such run|no run named|there is no"):
        await make(tmp_path / "missing", "packed", {})


def test_every_choice_has_a_key_of_its_own() -> None:
    assert len({key for key, _, _ in FORMATS} | {"y", "c", "p", "n"}) == len(FORMATS) + 4
