from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from engine.errors import PruneError
from engine.events import (
    AnyEvent,
    Counts,
    Decided,
    EpochEnded,
    Finished,
    LayersSeen,
    LayerState,
    MasksChanged,
    Measured,
    Noted,
    PhaseBegan,
    Progress,
    Result,
    Saved,
    Started,
    Surgery,
    as_float,
    decode,
    encode,
    number,
)
from engine.session import Session

LAYER = LayerState(key="dense/kernel", shape=(4, 3), weights=12, kept=6, units=3, units_kept=3)
HALF = Counts(weights=12, weights_kept=6)
STORY: tuple[AnyEvent, ...] = (
    Started(run="r", recipe={"name": "x", "granularity": "2:4"}, environment={}, target="sparsity", target_value=0.5),
    PhaseBegan(phase="training", epochs=2, control=True),
    EpochEnded(epoch=1, phase="training", loss="nan", metric=0.5, validation=0.25, control=True),
    PhaseBegan(phase="pruning"),
    MasksChanged(epoch=0, step=7, before=0.0, after=0.5, layers=(LAYER,), counts=HALF),
    EpochEnded(epoch=1, phase="pruning", loss=0.5, metric=0.5, validation=0.75, counts=HALF, series={"pq": 0.1}),
    Decided(epoch=1, layer="dense", kind="units", words="settled", verdict="accepted", numbers={"delta": "inf"}),
    Noted(words="layer dense is empty now", level="warning"),
    LayersSeen(layers=(LAYER,), counts=Counts(weights=12, weights_kept=6)),
    Surgery(rows=({"layer": "dense", "units": 3},), groups=("dense",), skipped={"lambda": "no rule"}),
    Measured(which="pruned", values={"latency": [1.0, None]}),
    Result(name="table", value=[1, 2]),
    Saved(file="model.keras", bytes=10),
    Finished(state="done"),
)  # fmt: skip


def numbered() -> list[AnyEvent]:
    return [msgspec.structs.replace(e, seq=i, time=100.0 + i) for i, e in enumerate(STORY, 1)]


def folded(events: list[AnyEvent]) -> Session:
    session = Session()
    for event in events:
        session = session.apply(event)
    return session


def test_every_event_survives_the_wire() -> None:
    for event in numbered():
        assert decode(encode(event)) == event
        assert b"NaN" not in encode(event)


def test_the_fold_tells_the_story() -> None:
    session = folded(numbered())
    assert session.state == "done"
    assert session.finished
    assert [e.validation for e in session.control] == [0.25]
    assert [e.validation for e in session.epochs] == [0.75]
    assert session.sparsity == 0.5
    assert session.layers == (LAYER,)
    assert session.warnings == ("layer dense is empty now",)
    assert session.created == 101.0
    assert any("50.0%" in line.words for line in session.log)


def test_a_decision_takes_the_place_of_the_change_of_masks_that_says_the_same() -> None:
    words = "round 3: 10 of 20 weights are kept"
    change = MasksChanged(epoch=3, step=0, before=0.0, after=0.5, counts=HALF, words=words)
    session = Session().apply(change).apply(Decided(epoch=3, layer="", kind="weights", words=words + ": accepted"))
    assert [line.words for line in session.log] == [words + ": accepted"]
    assert len(session.prunes) == 1
    assert len(session.decisions) == 1


def test_a_run_that_fails_before_it_starts_has_a_time() -> None:
    assert Session().apply(Finished(time=5.0, state="failed", words="no data")).created == 5.0


def test_events_that_were_folded_change_nothing() -> None:
    events = numbered()
    session = folded(events)
    assert folded([*events, *events[3:9]]) == session


def test_progress_is_live_only(tmp_path: Path) -> None:
    session = folded(numbered()[:4]).apply(Progress(phase="pruning", epoch=1, step=3))
    assert session.progress is not None
    session.save(tmp_path / "session.yaml")
    assert Session.load(tmp_path).progress is None


def test_a_saved_session_loads_to_the_same(tmp_path: Path) -> None:
    session = folded(numbered())
    session.save(tmp_path / "session.yaml")
    assert Session.load(tmp_path) == session
    assert Session.load(tmp_path / "session.yaml") == session


def test_a_resumed_run_forgets_what_the_checkpoint_did_not_know() -> None:
    events = numbered()
    again = Started(seq=20, run="r", recipe={}, environment={}, resumed_after=5)
    session = folded(events[:8]).apply(again)
    assert [e.seq for e in session.control] == [3]
    assert session.epochs == ()
    assert [e.seq for e in session.prunes] == [5]
    assert session.decisions == ()


@pytest.mark.parametrize("text", ["schema: 7\n", "[]\n", "schema: 1\nstate: [\n", "schema: 1\nseq: many\n"])
def test_what_is_no_session_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "session.yaml").write_text(text)
    with pytest.raises(PruneError):
        Session.load(tmp_path)
    with pytest.raises(PruneError, match="no session"):
        Session.load(tmp_path / "missing")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "session.yaml"
    folded(numbered()[:3]).save(path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        folded(numbered()).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["session.yaml"]


def test_numbers_that_are_not_finite_travel_as_words() -> None:
    assert [number(v) for v in (math.nan, math.inf, -math.inf, 1.5)] == ["nan", "inf", "-inf", 1.5]
    assert math.isnan(as_float("nan"))
    assert as_float("-inf") == -math.inf
    assert math.isnan(as_float(None))


@pytest.mark.parametrize(
    "module", ["engine", "engine.recipe", "engine.events", "engine.session", "engine.catalog", "engine.recipe_reading"]
)
def test_floor_one_imports_nothing_heavy(module: str, repository: Path) -> None:
    heavy = ("tensorflow", "keras", "numpy", "textual", "scipy")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"schema: 1\nepochs: [1]",
        b"schema: 1\nepochs: {epoch: 3}",
        b"schema: 1\nepochs: {epoch: [1, 2], phase: [training]}",
        b"schema: 1\nlog: 3",
    ],
)
def test_a_file_that_was_edited_into_nonsense_is_said_in_words(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "session.yaml").write_bytes(content)
    with pytest.raises(PruneError):
        Session.load(tmp_path)
