"""What a run says (events) and what it can be told (commands): the words of the wire and of the journal.

An event is *durable* (numbered, kept in the journal, folded into the session) or *live* (progress: latest wins, may be
lost). All are JSON objects with a `type`. JSON has no NaN: numbers that are not finite travel as words.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import msgspec

PROTOCOL = 1
MOST_BYTES = 1 << 20

Phase = Literal[
    "waiting",
    "loading",
    "compiling",
    "training",
    "pruning",
    "recovering",
    "measuring",
    "saving",
    "done",
    "stopped",
    "failed",
]
Number: TypeAlias = float | Literal["nan", "inf", "-inf"]


class Metric(msgspec.Struct, frozen=True):
    """The task's main metric."""

    name: str = "accuracy"
    direction: Literal["max", "min"] = "max"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The three denominators of methods.md: prunable units, prunable weights, all parameters."""

    units: int = 0
    units_kept: int = 0
    weights: int = 0
    weights_kept: int = 0
    parameters: int = 0
    parameters_kept: int = 0

    @property
    def weight_sparsity(self) -> float:
        """Share of the prunable kernel weights that are gone."""
        return 1 - self.weights_kept / self.weights if self.weights else 0.0

    @property
    def unit_sparsity(self) -> float:
        """Share of the prunable units that are gone."""
        return 1 - self.units_kept / self.units if self.units else 0.0


class LayerState(msgspec.Struct, frozen=True, kw_only=True):
    """One prunable kernel as it stands.

    Attributes:
        key: the variable's key; `shape` its shape when dense.
        weights, kept: of its kernel. units, units_kept: of its unit axes.
        protected: the layer keeps all its units (it makes the model's output) or is skipped.
        numbers: what a method adds, by name (mean column norm, threshold, PQ index, ...).
    """

    key: str
    shape: tuple[int, ...]
    weights: int
    kept: int
    units: int = 0
    units_kept: int = 0
    protected: bool = False
    numbers: dict[str, Number] = {}


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """The base of all durable events: `seq` rises by one, `time` is seconds since the epoch."""

    seq: int = 0
    time: float = 0.0


class Started(Event, frozen=True, kw_only=True):
    """The run exists: its recipe as resolved, where it runs, what it will do.

    `resumed_after` is the `seq` that the checkpoint knows: what the journal holds beyond it is done again.
    """

    run: str
    recipe: dict[str, Any]
    environment: dict[str, Any]
    metric: Metric = Metric()
    epochs: int = 0
    target: str = ""
    target_value: float | None = None
    denominator: Literal["weights", "units"] = "weights"
    resumed_after: int | None = None


class PhaseBegan(Event, frozen=True, kw_only=True):
    """A phase begins; `control` marks training of the dense control, and `cached` a dense model that was reused."""

    phase: Phase
    epochs: int = 0
    words: str = ""
    control: bool = False
    cached: bool = False


class EpochEnded(Event, frozen=True, kw_only=True):
    """One epoch's numbers: `metric`, `validation` are the main metric; `series` holds what a method adds."""

    epoch: int
    phase: Phase
    loss: Number
    metric: Number
    validation: Number
    validation_loss: Number = "nan"
    sparsity: float = 0.0
    counts: Counts = Counts()
    learning_rate: float = 0.0
    seconds: float = 0.0
    control: bool = False
    series: dict[str, Number] = {}


class MasksChanged(Event, frozen=True, kw_only=True):
    """Something was pruned (or grown): target beside achieved, in the target's own denominator."""

    epoch: int
    step: int
    before: float
    after: float
    target: float | None = None
    layers: tuple[LayerState, ...] = ()
    counts: Counts = Counts()
    words: str = ""


class Decided(Event, frozen=True, kw_only=True):
    """A method that decides by itself says when, where and how, and how it ended."""

    epoch: int
    layer: str
    kind: Literal["units", "weights", "none"]
    words: str
    verdict: Literal["tried", "accepted", "rolled_back", "frozen", "found", "stopped"] = "tried"
    numbers: dict[str, Number] = {}


class LayersSeen(Event, frozen=True, kw_only=True):
    """The layers as they are now, without a change of masks (at the start, at a phase's end, after surgery)."""

    layers: tuple[LayerState, ...]
    counts: Counts = Counts()


class Surgery(Event, frozen=True, kw_only=True):
    """Units were removed physically: rows a layer, groups in words, what was skipped and why."""

    rows: tuple[dict[str, Any], ...] = ()
    groups: tuple[str, ...] = ()
    skipped: dict[str, str] = {}
    before: dict[str, Number] = {}
    after: dict[str, Number] = {}


class Measured(Event, frozen=True, kw_only=True):
    """A measurement of the dense control or of the result, as plain values (`engine.measurement`)."""

    which: Literal["dense", "pruned", "before_recovery"]
    values: dict[str, Any]


class Result(Event, frozen=True, kw_only=True):
    """A table or a set of numbers that a method adds to the session under a name (a sweep's points, a heatmap)."""

    name: str
    value: Any


class Noted(Event, frozen=True, kw_only=True):
    """A line for the log; a warning is also listed with the result."""

    words: str
    level: Literal["info", "warning"] = "info"


class Saved(Event, frozen=True, kw_only=True):
    """A file of the run's folder was written."""

    file: str
    bytes: int
    what: str = ""


class Finished(Event, frozen=True, kw_only=True):
    """The last event. A failed run says what, where and what to do."""

    state: Literal["done", "stopped", "failed"]
    words: str = ""
    where: str = ""
    todo: str = ""


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="progress", omit_defaults=True):
    """Live only: how far the present epoch is."""

    phase: Phase
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    loss: Number = "nan"
    metric: Number = "nan"
    sparsity: float = 0.0
    rate: float = 0.0
    share: float = 0.0
    seconds_left: float | None = None
    paused: bool = False


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="hello"):
    """First line of every connection, from the runner."""

    protocol: int
    version: str
    run: str
    pid: int
    last: int


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """The base of what a client says."""


class Attach(Command, frozen=True, kw_only=True):
    """Send all durable events after this number, then everything live."""

    after: int = 0


class Cancel(Command, frozen=True, kw_only=True):
    """Stop at the next execution; what there is is saved."""


class Pause(Command, frozen=True, kw_only=True):
    """Wait at the next execution."""


class Resume(Command, frozen=True, kw_only=True):
    """Go on."""


AnyEvent: TypeAlias = (
    Started
    | PhaseBegan
    | EpochEnded
    | MasksChanged
    | Decided
    | LayersSeen
    | Surgery
    | Measured
    | Result
    | Noted
    | Saved
    | Finished
)
AnyCommand: TypeAlias = Attach | Cancel | Pause | Resume
Message: TypeAlias = AnyEvent | Progress | Hello

_encoder = msgspec.json.Encoder()
_messages: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_commands: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)


def number(value: float) -> Number:
    """A number as it travels: not-finite ones as words."""
    if math.isfinite(value):
        return float(value)
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def as_float(value: Number | None) -> float:
    """A number from the wire as a float; None is NaN."""
    return math.nan if value is None else float(value)


def worded(value: Any) -> Any:
    """Plain values with every number that is not finite as its word."""
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        return {k: worded(v) for k, v in value.items()}
    return [worded(v) for v in value] if isinstance(value, list | tuple) else value


def encode(message: Message | AnyCommand) -> bytes:
    """One line of JSON with its newline."""
    return _encoder.encode(message) + b"\n"


def decode(line: bytes | str) -> Message:
    """A message from one line.

    Raises:
        msgspec.DecodeError: not a message of this protocol.
    """
    return _messages.decode(line)


def decode_command(line: bytes | str) -> AnyCommand:
    """A command from one line.

    Raises:
        msgspec.DecodeError: not a command of this protocol.
    """
    return _commands.decode(line)
