"""`engine.Pruning`: pruning inside a `model.fit` of one's own."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import keras
import numpy as np

from engine import catalog
from engine.criteria.movement import Movement
from engine.errors import PruneError
from engine.layout import kernels
from engine.masks import Masks, attach, hooks
from engine.pruning_callback.building import before_first_batch, is_built
from engine.pruning_callback.finding import Finder, Masking
from engine.pruning_callback.sentence import Sentence, sentence
from engine.pruning_callback.timing import Clock, check_rounds, late
from engine.pruning_callback.watching import Watch
from engine.scoring.context import context


@dataclasses.dataclass(frozen=True)
class Event:
    """One change of the masks.

    Attributes:
        step: optimizer updates done before it.
        planned: the step at which the schedule wanted it (earlier than `step` only with `steps_per_execution`).
        target: the sparsity asked for, or None where it follows from the weights.
        sparsity: the share of kernel weights that are masked now.
    """

    step: int
    planned: int
    target: float | None
    sparsity: float


class Pruning(keras.callbacks.Callback):  # type: ignore[misc, valid-type]
    """Prunes a model while it is trained by its own `fit`, on any optimizer, with mixed precision and strategies.

    What users of TensorFlow Model Optimization do with `prune_low_magnitude`, a wrapper layer around each layer, and
    `UpdatePruningStep`: here it is one callback on the model as it is, and `strip_pruning` is not needed, since what
    is saved is an ordinary Keras model. The last step of a schedule is always taken, whatever the frequency.

    Example:
        >>> pruning = engine.Pruning(sparsity=0.9, begin=0.1, end=0.75)
        >>> model.fit(x, y, epochs=10, callbacks=[pruning])
        >>> pruning.masks.sparsity()
        0.9

    Masks stay on the model after `fit`, so a second `fit` fine-tunes what is left; a schedule that is not at its end
    goes on in the next `fit` with the same callback. `pruning.masks.detach()` frees the weights. `sparsity` appears in
    the logs, hence in `History`, the progress bar and TensorBoard. Put it after callbacks that write weights
    (`EarlyStopping(restore_best_weights=True)`), so that it has the last word.

    Times given as whole numbers are steps and stay as given, also where they lie beyond this `fit`; decimals up to 1.0
    are shares of it. With `steps_per_execution` above 1, Keras gives control back only at the end of an execution:
    events that do not fall there come late, and a warning says by how much.

    Args:
        criterion: a name of the catalog or an instance. `movement` adds up its scores during training.
        granularity: `weight`, `unit`, `block:4x1`, `2:4`.
        scope: `global`, `layer`, `erk`, `lamp`, `neuron`.
        schedule: `cubic`, `one_shot` (at the end of training), `at_init`, `iterative` (the epochs of the fit are shared
            out among the rounds and a last training), `drop_grow`; or an object with `events` and `sparsity`.
        sparsity: the share that goes. Give this or `target`; n:m fixes it, so there neither is needed.
        target: `{"flops": 0.5}` or `{"size": 0.5}` of the dense model's, or `"pq_index"` with schedule `iterative`.
        data: `(x, y)` or a dataset, for criteria that score on data; all of it is used at every event.
        loss: as in `engine.score`; None is the model's own.
        total_steps: how long training is, where Keras cannot know it (a dataset of unknown size).
        seed: for criteria that draw, and for random growth.
        **params: of criterion, granularity, scope, schedule and target, by their names in the catalog.

    Attributes:
        masks: the live masks, from the first `fit` on.
        history: what was done, a list of `Event`.

    Raises:
        PruneError: a name or parameter is unknown or out of range, parts do not go together, or data is missing.
    """

    def __init__(
        self,
        criterion: Any = "magnitude",
        *,
        granularity: str = "weight",
        scope: str = "global",
        schedule: Any = "cubic",
        sparsity: float | None = None,
        target: Any = None,
        data: Any = None,
        loss: Any = None,
        total_steps: int | None = None,
        seed: int = 0,
        **params: Any,
    ) -> None:
        super().__init__()
        self.sentence: Sentence = sentence(
            criterion,
            granularity=granularity,
            scope=scope,
            schedule=schedule,
            sparsity=sparsity,
            target=target,
            params=params,
        )
        needs = catalog.get("criterion", criterion).needs if isinstance(criterion, str) else frozenset()
        self._moving = isinstance(self.sentence.criterion, Movement)
        if self._moving and self.sentence.when == "at_init":
            raise PruneError("movement scores add up over training", todo="Use schedule='cubic' or 'one_shot'")
        if "data" in needs and data is None and not self._moving:
            raise PruneError(f"criterion {criterion} scores on data", todo="Give data=(x, y), a few hundred examples")
        self.data, self.loss, self.total_steps, self.seed = data, loss, total_steps, seed
        self.masks: Masks | None = None
        self.history: list[Event] = []
        self._clock: Clock | None = None
        self._finder: Finder | None = None
        self._watch: Watch | None = None
        self._start: dict[str, list[Any]] = {}
        self._round = 0
        self._plan: tuple[float | None, ...] = ()
        self._waiting, self._epoch = False, 0

    # ---- what Keras calls ------------------------------------------------------------------------------------------

    def on_train_begin(self, logs: Any = None) -> None:
        """Attaches masks of ones, so that all that follows only changes values in the compiled step."""
        self._waiting = not is_built(self.model)
        if self._waiting:
            before_first_batch(self.model, self._late)
        else:
            self._ready()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes where the epoch stands in the schedule, and does what is due."""
        self._epoch = epoch
        if not self._waiting:
            self._timer().epoch(epoch)
            self._act()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Does what is due."""
        self._timer().batch(batch)
        self._act()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds the sparsity to the logs."""
        self._timer().epoch_done(self._iterations())
        self._act()
        if isinstance(logs, dict) and self.masks is not None:
            logs["sparsity"] = self.masks.sparsity()

    def on_train_end(self, logs: Any = None) -> None:
        """Prunes in one shot, holds zeros once more after averages and restored weights, and says what is not done."""
        clock, masks = self._timer(), self._masks()
        if self._watch is not None:
            hooks.watch_gradients(self.model.optimizer, self._watch, on=False)
            hooks.retrace(self.model)
        if self.sentence.when == "one_shot" and not self.history:
            clock.pending.clear()
            self._prune(clock.step, clock.step)
        masks.apply()
        if clock.pending and self.sentence.when not in ("drop_grow", "one_shot"):
            warnings.warn(
                f"training ended after {clock.step} steps, before the schedule did (step {clock.pending[-1]}): "
                f"sparsity is {masks.sparsity():.4f}. A further fit with this callback goes on.",
                UserWarning,
                stacklevel=2,
            )

    # ---- how it acts -----------------------------------------------------------------------------------------------

    def _late(self) -> None:
        self._waiting = False
        self._ready()
        self._timer().epoch(self._epoch)
        self._act()

    def _ready(self) -> None:
        if self.masks is None or not self.masks.attached or self.masks.model is not self.model:
            self._begin()
        clock = self._wind()
        if self._watch is not None:
            hooks.watch_gradients(self.model.optimizer, self._watch)
            hooks.retrace(self.model)
        per_execution = int(getattr(self.model, "steps_per_execution", 1) or 1)
        delay = late(clock.pending, per_execution=per_execution, per_epoch=clock.per_epoch)
        if delay and self.sentence.when != "one_shot":
            warnings.warn(
                f"steps_per_execution={per_execution} gives control back only at the end of an execution: masks change "
                f"up to {delay} steps later than the schedule says. To meet every step, choose times that it divides.",
                UserWarning,
                stacklevel=2,
            )

    def _begin(self) -> None:
        scene = context(self.model, self.data, loss=self.loss, seed=self.seed)
        if not scene.kernels:
            raise PruneError("the model has no kernel that could be pruned")
        self._finder = Finder(self.sentence, scene, self.data, self.loss)
        self._clock, self.history, self._start, self._round = None, [], {}, 0
        optimizer = self.model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        self.masks = attach(self.model, self._finder.all_kept())
        grows = self.sentence.when == "drop_grow" and self.sentence.schedule.grow == "gradient"
        if self._moving or grows:
            self._watch = Watch(self.model, kernels(self.model), movement=self._moving)
        if self.sentence.when == "iterative":
            self._start["init"] = self._state()

    def _wind(self) -> Clock:
        per_epoch = self.params.get("steps")
        total = self.total_steps
        if total is None and per_epoch is not None:
            total = per_epoch * int(self.params.get("epochs", 1))
        if self._clock is None:
            if self.sentence.when == "cubic" and _in_steps(self.sentence.schedule):
                total = None  # steps are kept as given, also where they lie beyond this fit
            self._clock = Clock(pending=self._events(total, per_epoch), total=total, per_epoch=per_epoch)
        self._clock.begin(per_epoch, self._iterations())
        return self._clock

    def _events(self, total: int | None, per_epoch: int | None) -> list[int]:
        schedule, when = self.sentence.schedule, self.sentence.when
        if when == "one_shot":
            return [] if total is None else [total]
        if when == "cubic":
            return sorted(set(schedule.events(total)))  # steps need no total; a share without one is told
        if total is None:
            raise PruneError("how long training is cannot be known from this dataset", todo="Give total_steps=...")
        if when == "iterative":
            self._plan = self._rounds()
            rounds = len(self._plan)
            length = schedule.epochs * per_epoch if schedule.epochs and per_epoch else total // (rounds + 1)
            check_rounds(rounds, length, total)
            cuts = [length * r for r in range(1, rounds + 1)]
            return sorted({*cuts, *([schedule.early(length)] if schedule.rewind == "early" else [])})
        return sorted(set(schedule.events(total)))

    def _act(self) -> None:
        clock = self._timer()
        due = clock.due()
        if self.sentence.when == "one_shot":
            return
        if self.sentence.when == "cubic":
            due = due[-1:]  # whatever was missed, the curve is now where it is now
        for planned in due:
            self._prune(clock.step, planned)

    def _prune(self, step: int, planned: int) -> None:
        when = self.sentence.when
        if when == "drop_grow":
            return self._drop_grow(step, planned)
        if when == "iterative":
            return self._next_round(step, planned)
        final = self._final()
        if when == "one_shot":
            return self._set(self._find(final), step, planned, final)
        now = float(self.sentence.schedule.sparsity(step, self._timer().total, final))
        return self._set(self._find(now), step, planned, now)

    def _next_round(self, step: int, planned: int) -> None:
        schedule = self.sentence.schedule
        if schedule.rewind == "early" and "early" not in self._start:
            self._start["early"] = self._state()
            return
        asked: float | Fraction | None = self._plan[self._round]
        if asked is None:
            self._set(self._sap(), step, planned, None)
        else:
            total, left = self._found().aimed_at(self._masks().arrays())
            asked = schedule.after(self._round, self._plan[-1], total=total, left=left)
            self._set(self._find(asked), step, planned, float(asked))
        self._round += 1
        if schedule.rewind != "none":
            self._restore(self._start[schedule.rewind])

    def _drop_grow(self, step: int, planned: int) -> None:
        from engine.schedules.drop_grow import move

        schedule, masks, finder = self.sentence.schedule, self._masks(), self._found()
        rng = np.random.default_rng((self.seed, planned))
        if not self.history:
            chance: Masking = {key: np.asarray(rng.random(m.shape)) for key, m in masks.arrays().items()}
            final = self._final()
            return self._set(finder.at(final, masks.arrays(), scores=chance), step, planned, final)
        share = schedule.moving(planned, self._timer().total)
        if schedule.grow == "gradient":
            assert self._watch is not None
            growth = {key: np.abs(g) for key, g in self._watch.arrays().items()}
        else:
            growth = {key: np.asarray(rng.random(m.shape)) for key, m in masks.arrays().items()}
        weights = {key: v.numpy() for key, v in masks.variables.items()}
        moves = {key: move(weights[key], m, growth[key], share) for key, m in masks.arrays().items()}
        grown = {key: m.grown for key, m in moves.items()}
        return self._set({key: m.mask for key, m in moves.items()}, step, planned, None, reset=grown)

    def _find(self, sparsity: float | Fraction) -> Masking:
        return self._found().at(sparsity, self._masks().arrays(), scores=self._scores())

    def _sap(self) -> Masking:
        finder, masks = self._found(), self._masks()
        weights = {key: v.numpy() for key, v in masks.variables.items()}
        found: Masking = self.sentence.target.step(
            weights, masks.arrays(), scope=self.sentence.scope, layouts=finder.layouts
        ).masks
        return found

    def _final(self) -> float:
        if self.sentence.until == "sparsity":
            return float(self.sentence.target.sparsity)
        return self._found().within_budget(self._masks().arrays(), scores=self._scores())

    def _rounds(self) -> tuple[float | None, ...]:
        if self.sentence.until == "pq_index":
            return (None,) * int(self.sentence.target.rounds)
        return tuple(self.sentence.schedule.plan(self._final()))

    def _scores(self) -> Masking | None:
        return self._watch.arrays() if self._moving and self._watch is not None else None

    def _set(
        self,
        masks: Mapping[str, Any],
        step: int,
        planned: int,
        target: float | None,
        *,
        reset: Mapping[str, Any] | None = None,
    ) -> None:
        live = self._masks()
        live.update(masks, reset=reset)
        live.skipped = self._found().scene.skipped
        self.history.append(Event(step, planned, target, live.sparsity()))

    # ---- state -----------------------------------------------------------------------------------------------------

    def _state(self) -> list[Any]:
        return [v.numpy() for v in (*self.model.weights, *self._optimizer_variables())]

    def _restore(self, state: list[Any]) -> None:
        # Momentum and the step count go back, too: a round is a training of its own.
        for variable, value in zip((*self.model.weights, *self._optimizer_variables()), state, strict=True):
            variable.assign(value)
        self._masks().apply()
        self._timer().rewound(self._iterations())

    def _optimizer_variables(self) -> list[Any]:
        return list(getattr(self.model.optimizer, "variables", []))

    def _iterations(self) -> int:
        optimizer = getattr(self.model, "optimizer", None)
        return int(optimizer.iterations.numpy()) if optimizer is not None else 0

    def _masks(self) -> Masks:
        assert self.masks is not None
        return self.masks

    def _found(self) -> Finder:
        assert self._finder is not None
        return self._finder

    def _timer(self) -> Clock:
        assert self._clock is not None
        return self._clock


def _in_steps(schedule: Any) -> bool:
    return not any(isinstance(t, float) and 0 < t <= 1 for t in (schedule.begin, schedule.end))
