"""One run while it goes: its parts, where it stands, what it says. Stages (`engine.running.plan`) move it along."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np

from engine.errors import ModelError, PruneError
from engine.events import (
    AnyEvent,
    Counts,
    EpochEnded,
    LayersSeen,
    LayerState,
    MasksChanged,
    Measured,
    Noted,
    Number,
    Phase,
    PhaseBegan,
    Progress,
    Result,
    worded,
)
from engine.keys import variable_keys
from engine.layout import Kernel, kernels
from engine.masks import Masks, attach
from engine.recipe import Recipe
from engine.running import checkpoint
from engine.running.control import Control
from engine.running.feeding import Evaluation
from engine.running.layers import counts_of, layer_states, shrunk_states
from engine.running.precision import precision
from engine.running.seeding import seed_of
from engine.running.task import Task, task_of
from engine.scopes.base import matches

Array = np.ndarray[Any, Any]
Emit = Callable[[Any], int | None]


class Run:
    """What the stages of a run share.

    Attributes:
        model: as it is now, masks and all. dense: the dense control once it is trained.
        masks: on `model`, or None while nothing is pruned.
        memory: JSON values that stages leave for later ones; they survive a resume.
        arrays: groups of arrays by key that stages leave (initial weights, dense weights); they survive a resume, too.
        stage, done: which stage is running, and how many epochs of it are behind.
        epoch: epochs of the run so far, the dense control's not counted.
    """

    def __init__(self, recipe: Recipe, emit: Emit, *, folder: Path | None, control: Control) -> None:
        self.recipe, self.folder, self.control = recipe, folder, control
        self._emit = emit
        self.seq = 0
        self.data: Any = None
        self.model: Any = None
        self.dense: Any = None
        self.masks: Masks | None = None
        self.optimizer: Any = None
        self.task: Task
        self.memory: dict[str, Any] = {}
        self.arrays: dict[str, dict[str, Array]] = {}
        self.stage, self.done, self.epoch, self.stages = 0, 0, 0, 1
        self.numbers: dict[str, dict[str, Number]] = {}
        self.series: dict[str, Number] = {}
        self.told: list[EpochEnded] = []
        self.probe: Any = None  # what scoring has traced of the model
        self.compiled: tuple[tuple[Any, ...], Any] | None = None  # what was traced, and the steps made of it
        self.term: tuple[Any, Any] | None = None  # a model, and what its criterion adds to the training loss
        self._phase: Phase = "loading"
        self._evaluation: Evaluation | None = None
        self._sparsity: float | None = None
        self._skipped: set[str] = set()
        self._protected: frozenset[str] | None = None

    # ---- saying ----------------------------------------------------------------------------------------------------

    def say(self, event: AnyEvent) -> None:
        """Sends a durable event; counted, so that a checkpoint knows what the journal holds."""
        if isinstance(event, EpochEnded):
            self.told.append(event)
        elif isinstance(event, Measured):
            event = msgspec.structs.replace(event, values=worded(event.values))
        elif isinstance(event, Result):
            event = msgspec.structs.replace(event, value=worded(event.value))
        told = self._emit(event)
        self.seq = told if isinstance(told, int) else self.seq + 1

    def show(self, progress: Progress) -> None:
        """Sends live progress, which nobody needs to keep."""
        self._emit(progress)

    def note(self, words: str, *, warning: bool = False) -> None:
        """Puts a line into the log."""
        self.say(Noted(words=words, level="warning" if warning else "info"))

    def tell_skipped(self, skipped: Mapping[str, str]) -> None:
        """Tells once of each kernel that gets no score, and why."""
        for key, why in skipped.items():
            if key not in self._skipped:
                self._skipped.add(key)
                self.note(f"{key} is left whole: {why}", warning=True)

    def begin(
        self, phase: Phase, words: str = "", *, epochs: int = 0, control: bool = False, cached: bool = False
    ) -> None:
        """Tells that a phase begins."""
        self._phase = phase
        self.say(PhaseBegan(phase=phase, words=words, epochs=epochs, control=control, cached=cached))
        self.show(Progress(phase=phase, epoch=self.epoch))

    @property
    def phase(self) -> Phase:
        """The phase that was begun last."""
        return self._phase

    # ---- the model and its masks -----------------------------------------------------------------------------------

    def seed(self, *words: Any) -> int:
        """A seed for a purpose, from the recipe's."""
        return seed_of(self.recipe.seed, *words)

    def take(self, model: Any) -> None:
        """Makes this the model of the run; the masks of the one before do not come along."""
        self.model, self.masks, self._evaluation, self._sparsity = model, None, None, None
        self._protected, self.compiled, self.probe = None, None, None
        self.task = task_of(model, classes=self.data.classes, targets=self.data.outputs)
        self.optimizer = None

    def fresh_model(self) -> Any:
        """The recipe's model with its initial weights: the same at every call."""
        from engine.models import build

        part = self.recipe.model
        seed = self.seed("model")
        with precision(mixed=self.recipe.train.mixed_precision):
            model = build(part.name, self.data.input_shape, self.data.outputs, seed=seed, **part.params)
        if self.model is not None and not self.arrays.get("initial", {}).keys() <= variable_keys(model).keys():
            raise ModelError(
                "it names its weights anew at every load, so they cannot be followed",
                where=str(part.get("file", part.name)),
                todo="Give the layers inside your own layers a fixed name=..., and save it again",
            )
        return model

    def fresh_values(self, *purpose: str) -> dict[str, Array]:
        """The initial weights by key; with a purpose, another draw from the same initialisers."""
        if not purpose and "initial" in self.arrays:
            return self.arrays["initial"]
        from engine.models import build

        part = self.recipe.model
        seed = self.seed("model", *purpose)
        model = build(part.name, self.data.input_shape, self.data.outputs, seed=seed, **part.params)
        return {k: np.array(v.numpy()) for k, v in variable_keys(model).items()}

    def maskable(self) -> dict[str, Kernel]:
        """The prunable kernels by variable key, those that the scope skips left out."""
        found = kernels(self.model)
        skipped = self.skips(found)
        return {k: v for k, v in found.items() if k not in skipped}

    def skips(self, keys: Iterable[str]) -> frozenset[str]:
        """Those of these keys (of kernels or layers) that the scope skips: kept whole, and not counted."""
        patterns = () if self.recipe.prune is None else self.recipe.prune.scope.get("skip") or ()
        return frozenset(k for k in keys if any(matches(k, p) for p in patterns))

    def weights(self) -> dict[str, Array]:
        """A copy of every variable of the model by key."""
        return {k: np.array(v.numpy()) for k, v in variable_keys(self.model).items()}

    def set_weights(self, values: Mapping[str, Array]) -> None:
        """Puts weights back (masked ones stay zero)."""
        for key, variable in variable_keys(self.model).items():
            if key in values:
                variable.assign(values[key])
        if self.masks is not None:
            self.masks.apply()

    def mask_arrays(self) -> dict[str, Array]:
        """The masks by variable key; empty while nothing is pruned."""
        return {} if self.masks is None else self.masks.arrays()

    def set_masks(self, masks: Mapping[str, Array]) -> None:
        """Puts masks on the model, or changes those it has."""
        self._sparsity = None
        if self.masks is None or set(masks) - set(self.masks.variables):
            held = {**self.mask_arrays(), **masks}
            if self.masks is not None:
                self.masks.detach()
            self.masks = attach(self.model, held)
            if self.compiled is not None:
                self.compiled[1].retrace()  # in the middle of a phase: its steps know the masks before
            if self.optimizer is not None:
                self.masks.watch(self.optimizer)
        else:
            self.masks.update(masks)

    def layers(self) -> tuple[LayerState, ...]:
        """The layers as they are; of a model that became physically smaller, beside their old sizes."""
        if "original" in self.memory:
            original = msgspec.convert(self.memory["original"]["layers"], tuple[LayerState, ...])
            return shrunk_states(original, kernels(self.model), self.mask_arrays(), self.numbers)
        found = kernels(self.model)
        whole = self.protected() | self.skips(found)
        return layer_states(found, self.mask_arrays(), protected=whole, numbers=self.numbers)

    def counts(self, layers: tuple[LayerState, ...] | None = None) -> Counts:
        """The three denominators as they are."""
        now = sum(math.prod(v.shape) for v in self.model.weights)
        first = self.memory["original"]["parameters"] if "original" in self.memory else now
        units = tuple(self.memory["unit_counts"]) if "unit_counts" in self.memory else None
        rows = layers or self.layers()
        return counts_of(
            rows,
            parameters=(first, now),
            masks=self.mask_arrays(),
            units=units,
            skipped=self.skips(row.key for row in rows),
        )

    def protected(self) -> frozenset[str]:
        """Kernels that keep all their units: those that make the model's output, or that surgery cannot reach."""
        if not self.by_units:
            return frozenset()
        if self._protected is None:
            from engine.surgery import layer_units

            free = {key for key, layer in layer_units(self.model).items() if layer.free.any()}
            held = {k for k, v in kernels(self.model).items() if v.layer_key not in free}
            self._protected = frozenset(held)
        return self._protected

    def replace(self, model: Any) -> None:
        """Goes on with a physically smaller model; what there was is remembered, to tell what is gone."""
        if "original" not in self.memory:
            rows = [msgspec.to_builtins(row) for row in self.layers()]
            self.memory["original"] = {"layers": rows, "parameters": self.counts().parameters}
        if self.masks is not None:
            self.masks.detach()
        self.take(model)

    @property
    def by_units(self) -> bool:
        """True when the target counts units."""
        return self.recipe.prune is not None and self.recipe.prune.granularity.name == "unit"

    def sparsity(self) -> float:
        """What is gone, in the target's denominator."""
        if self._sparsity is None:  # counted once a change: progress asks ten times a second
            counts = self.counts()
            self._sparsity = counts.unit_sparsity if self.by_units else counts.weight_sparsity
        return self._sparsity

    def show_layers(self) -> None:
        """Tells the layers without a change of masks."""
        layers = self.layers()
        self.say(LayersSeen(layers=layers, counts=self.counts(layers)))

    def change_masks(
        self, masks: Mapping[str, Array], *, step: int = 0, target: float | None = None, words: str = ""
    ) -> None:
        """Changes masks and tells so, with a warning for every layer that became empty."""
        before = {row.key: row.kept for row in self.layers()}
        was = self.sparsity()
        self.set_masks(masks)
        layers = self.layers()
        counts = self.counts(layers)
        now = counts.unit_sparsity if self.by_units else counts.weight_sparsity
        self.say(
            MasksChanged(
                epoch=self.epoch,
                step=step,
                before=was,
                after=now,
                target=target,
                layers=layers,
                counts=counts,
                words=words,
            )
        )
        for row in layers:
            if row.kept == 0 and before.get(row.key, 0) > 0:
                self.note(f"layer {row.key} is empty now: nothing can pass through it", warning=True)

    # ---- judging ---------------------------------------------------------------------------------------------------

    def validate(self) -> tuple[float, float]:
        """(loss, metric) on the validation split: what choices are made on."""
        return self._judge()()

    def validate_each(self) -> Array:
        """What each example of the validation split contributes to the metric: `(examples,)`."""
        return self._judge().each()

    def _judge(self) -> Evaluation:
        if self._evaluation is None or self._evaluation.model is not self.model:
            self._evaluation = Evaluation(self.model, self.task, self.data.x_val, self.data.y_val)
        return self._evaluation

    def test(self) -> tuple[float, float]:
        """(loss, metric) on the test split: for the report alone."""
        return Evaluation(self.model, self.task, self.data.x_test, self.data.y_test)()

    def better(self, new: float, old: float | None) -> bool:
        """True when a metric's value beats another."""
        if old is None or np.isnan(old):
            return True
        return new > old if self.task.metric.direction == "max" else new < old

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Writes a checkpoint: the run can go on from exactly here."""
        if self.folder is None:
            return
        # Keras numbers optimizers' names as it makes them, so their variables are told apart by their order.
        held = [] if self.optimizer is None else self.optimizer.variables
        optimizer = {str(i): v.numpy() for i, v in enumerate(held)}
        arrays = {"weights": self.weights(), "optimizer": optimizer, "masks": self.mask_arrays()}
        arrays |= {f"kept {name}": group for name, group in self.arrays.items()}
        state = {
            "architecture": self.model.to_json(), "stage": self.stage, "done": self.done, "epoch": self.epoch,
            "seq": self.seq, "memory": self.memory, "numbers": self.numbers,
        }  # fmt: skip
        checkpoint.save(self.folder, arrays=arrays, state=state)

    def restore(self) -> None:
        """Goes back to the checkpoint of the run's folder."""
        assert self.folder is not None
        arrays, state = checkpoint.load(self.folder)
        model = self.fresh_model()
        if model.to_json() != state["architecture"]:
            model = keras.models.model_from_json(state["architecture"])
        self.take(model)
        if set(arrays.get("weights", {})) != set(variable_keys(model)):
            raise PruneError(
                "the checkpoint is of another model than the recipe makes now",
                where=str(self.folder / checkpoint.FILE),
                todo="Start the run again; layers of your own must name their parts the same at every load",
            )
        self.set_weights(arrays["weights"])
        if arrays.get("masks"):
            self.set_masks(arrays["masks"])
        self.arrays = {name[5:]: group for name, group in arrays.items() if name.startswith("kept ")}
        self.arrays["optimizer"] = arrays.get("optimizer", {})
        self.stage, self.done, self.epoch, self.seq = state["stage"], state["done"], state["epoch"], state["seq"]
        self.memory, self.numbers = state["memory"], state["numbers"]
        if "dense" in self.arrays:
            self.dense = self.fresh_model()
            for key, variable in variable_keys(self.dense).items():
                variable.assign(self.arrays["dense"][key])
