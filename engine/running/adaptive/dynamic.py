"""Dynamic pruning (methods.md §2): when, where and how much follow from each layer's mean column norm.

The rules are in `engine.running.adaptive.rules`; here they meet a run. Everything that the method knows between two
epochs is in `run.memory["dynamic"]` and `run.arrays`, so a run can go on from any checkpoint.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

from engine.errors import ModelError, PruneError
from engine.events import Decided, Phase, Result, number
from engine.keys import variable_keys
from engine.recipe import Prune
from engine.registry import make
from engine.running import optimizing
from engine.running.adaptive import telling
from engine.running.adaptive.columns import Network, dead_rows
from engine.running.adaptive.rules import Columns, LayerRule, Offer, accepted, offer, rolled_back
from engine.running.context import Run
from engine.running.control import Cancelled
from engine.running.dense import keep_control
from engine.running.rounds import goes_back
from engine.running.training import SLOTS, train
from engine.running.units import smaller_if_it_pays, take_smaller
from engine.schedules.dynamic import Dynamic, change
from engine.targets.column_norm import ColumnNorm

DENSE_SHARE = 0.5
"""The dense phase ends at this share of the epochs at the latest: the others are for pruning."""
_PHASES: dict[str, Phase] = {"dense": "training", "watch": "pruning", "recover": "recovering"}
HORIZON = 10
"""Compiling again must pay within so many epochs: by then more has gone, and it is due once more."""


def prune_dynamically(run: Run) -> None:
    """The stage: dense until validation stops improving, then layer by layer as the rules say.

    It ends when all layers are frozen or the epochs are spent, and leaves the last accepted state in the run.

    Raises:
        PruneError: the recipe has another target, or a granularity that leaves the method nothing to decide.
    """
    epochs = run.recipe.train.epochs
    method = Method(run, epochs=epochs)
    try:
        if not method.memory.get("over"):
            train(run, phase="pruning", epochs=epochs, tag="dynamic", on_epoch=method.on_epoch,
                  after_epoch=method.after_epoch)  # fmt: skip
    except Cancelled:
        method.leave()
        raise
    method.finish()


class Method:
    """The dynamic method on one run.

    Attributes:
        memory: `phase` is "dense", "watch" (waiting for a layer to settle) or "recover" (after an event).
    """

    def __init__(self, run: Run, *, epochs: int) -> None:
        prune = run.recipe.prune
        assert prune is not None
        self.run, self.epochs = run, epochs
        _check(prune)
        self.target: ColumnNorm = make("target", "column_norm", prune.target.params)
        self.schedule: Dynamic = make("schedule", "dynamic", prune.schedule.params)
        self.network = self._network()
        self.memory: dict[str, Any] = run.memory.setdefault("dynamic", {})
        self.seen: dict[str, Columns] = {}
        if run.masks is None:
            # All masks are there from the first step, so that the compiled loop never changes.
            run.set_masks(self.network.ones())
        if run.done == 0 and not self.memory:
            self._start()

    def _network(self) -> Network:
        original = self.run.memory.get("original", {"layers": ()})
        dense = {row["key"]: row["weights"] for row in original["layers"]}
        return Network(self.run.model, self.run.maskable(), dense=dense)

    # ---- one epoch -------------------------------------------------------------------------------------------------

    def on_epoch(self) -> Phase:
        """Looks at the columns before the epoch is told, and says what the epoch was for."""
        self.seen = self.network.columns(self.run.mask_arrays())
        for key, seen in self.seen.items():
            self.run.series[f"mean_column_norm {telling.layer_name(key)}"] = number(seen.mean)
        return _PHASES[self.memory["phase"]]

    def after_epoch(self, validation: float) -> bool:
        """What the method does at an epoch's end; True when it is done."""
        phase = self.memory["phase"]
        self.memory.setdefault("paces", [[]])[-1].append(self.run.told[-1].seconds)
        if phase == "dense":
            self._dense(validation)
        elif phase == "recover":
            self._recover(validation)
        else:
            self._watch(validation)
        self.memory["over"] = self.memory["phase"] != "recover" and bool(self.rules) and not self._open()
        return bool(self.memory["over"])

    def finish(self) -> None:
        """Leaves the last accepted state in the run, and says how it ended."""
        if self.memory["phase"] == "recover":
            event = self.memory["event"]
            self._tell(event, "rolled_back", event["last"], "the epochs are spent: rolled back")
        if self.memory["phase"] == "dense":
            self._end_dense(note=False)
            self.run.note("the epochs were spent before the dense phase ended: nothing was pruned", warning=True)
        self.leave()
        if pace := telling.pace_words(self.memory.get("paces", [])):
            self.run.note(pace)
        self.run.series.clear()  # what follows is not this method's
        why = "every layer has given what it can" if self.memory.get("over") else "the epochs are spent"
        words = f"{why}: {self.run.sparsity():.1%} of the weights gone, {self._metric} {self.memory['accepted']:.3f}"
        self._say(words, verdict="found", layer="")

    def leave(self) -> None:
        """Puts the last accepted state back."""
        if "accepted weights" in self.run.arrays:
            self._put_back(words="the last accepted state is kept")
        self.memory["phase"] = "watch"

    # ---- phases ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        rules = {key: LayerRule(self.target.alpha, self.target.beta, weights_only=key not in self.network.units)
                 for key in self.network.kernels}  # fmt: skip
        self.memory |= {"phase": "dense", "waited": 0, "means": {}, "best_epoch": 0, "layers": {}, "paces": [[]]}
        self.rules = rules
        self.run.arrays["initial"] = self.run.weights()
        self.run.show_layers()
        _, validation = self.run.validate()  # a model that comes trained may be at its best already
        self._keep(validation)

    def _dense(self, validation: float) -> None:
        run = self.run
        if run.better(validation, self.memory["accepted"]):
            self._keep(validation)
            self.memory["best_epoch"] = run.done
        self._look(self.seen)
        limit = math.ceil(DENSE_SHARE * self.epochs)
        if run.done - self.memory["best_epoch"] >= self.schedule.patience or run.done >= limit:
            self._end_dense(note=run.done >= limit)

    def _end_dense(self, *, note: bool) -> None:
        run = self.run
        self._put_back(words="")
        keep_control(run)
        first = self.memory["accepted"]
        drop = self.target.allowed(first, len(run.data.x_val)) if self._is_share else self.target.tolerance * abs(first)
        self.memory |= {"phase": "watch", "first": first, "drop": drop}
        late = "; validation was still improving, but half of the epochs are for pruning" if note else ""
        run.note(
            f"dense: {self._metric} {first:.4f} after epoch {self.memory['best_epoch']}, {drop:.4f} may be lost{late}"
        )
        self._baseline()

    def _watch(self, validation: float) -> None:
        run, before = self.run, self.memory["means"]
        columns = self.seen
        changes = {key: change(c.mean, before[key]) for key, c in columns.items() if not self.rules[key].frozen}
        self._look(columns, changes)
        if self._within(validation) and not run.better(self.memory["accepted"], validation):
            self._keep(validation)  # the same masks, trained further
        self.memory["waited"] += 1
        self.memory["means"] = {key: c.mean for key, c in columns.items()}
        offers: dict[str, Offer] = {}
        for key in self.schedule.settled(changes, waited=self.memory["waited"]):
            rule, found = offer(columns[key], self.rules[key], self.target)
            self._learn(key, rule)
            if found is not None:
                offers[key] = found
        if offers:
            key = max(offers, key=lambda k: offers[k].weights)
            self._prune(key, offers[key], changes[key], validation)

    def _prune(self, key: str, found: Offer, delta: float, before: float) -> None:
        run, masks, rule = self.run, self.run.mask_arrays(), self.rules[key]
        if found.kind == "units":
            new = self.network.without_units(key, found.units, masks)
            run.memory["units_masked"] = True
        else:
            new = self.network.without_weights(key, found.gone, masks)
        event = {
            "epoch": run.epoch, "layer": key, "kind": found.kind, "count": found.count, "of": found.of,
            "alpha": rule.alpha, "beta": rule.beta, "delta": delta, "settled": delta <= self.schedule.tau,
            "before": before, "epochs": 0,
        }  # fmt: skip
        words = telling.settled_words(event)
        run.set_masks(new)  # rows are dead only once what they read is zero
        rows = dead_rows(run.model, run.mask_arrays())
        run.set_masks({k: masks[k] for k in new})
        run.change_masks(new | rows, words=words)
        _, after = run.validate()
        event |= {"after": after, "last": after}
        self.memory["event"] = event
        if self.schedule.recovery:
            # An epoch at least, however little was lost: states that were never trained add up to a loss that the
            # validation set does not see. On digits, over 3 seeds, it saves 1.2 points of test accuracy.
            self.memory["phase"] = "recover"
            self._say(f"{words}; {self._metric} {after:.3f}: recovering", verdict="tried", event=event)
        elif self._within(after):
            self._accept(after)
        else:
            self._roll_back(after)

    def _recover(self, validation: float) -> None:
        event = self.memory["event"]
        event["epochs"] += 1
        event["last"] = validation
        if self._within(validation):
            self._accept(validation)
        elif event["epochs"] >= self.schedule.recovery:
            self._roll_back(validation)
        else:
            self._look(self.seen)

    def _accept(self, validation: float) -> None:
        event = self.memory["event"]
        self._keep(validation)
        self._tell(event, "accepted", validation, "accepted")
        self._learn(event["layer"], accepted(self.rules[event["layer"]], self.target))
        self._shrink(validation)
        self._baseline()

    def _roll_back(self, validation: float) -> None:
        event = self.memory["event"]
        was = self.rules[event["layer"]]
        now = rolled_back(was)
        self._learn(event["layer"], now, say=False)
        if now.frozen:
            then = "rolled back, and the layer is frozen"
        elif now.weights_only and not was.weights_only:
            then = "rolled back; only single weights of this layer from now on"
        else:
            then = f"rolled back; at most {now.beta:.3g} of the layer next time"
        self._tell(event, "rolled_back", validation, then)
        self._put_back(words=f"epoch {self.run.epoch}: back to {self._metric} {self.memory['accepted']:.3f}")
        self._baseline()

    def _shrink(self, validation: float) -> None:
        """Removes physically what is silent in the state just accepted, where the next epochs gain more than it costs.

        Everything that the method knows of the network is carried: masks, optimizer slots, and the accepted state.
        """
        run = self.run
        assert run.recipe.prune is not None
        if not run.memory.get("units_masked") or goes_back(run.recipe.prune):
            return
        ahead = min(self.epochs - run.done, HORIZON)
        try:
            operation = smaller_if_it_pays(run, epochs=ahead)
        except ModelError:  # a graph that cannot be seen, or made again
            return
        if operation is None:
            return
        old, masks = variable_keys(run.model), run.mask_arrays()
        slots = {} if run.optimizer is None else optimizing.named(run.optimizer, old)
        carried = {
            name: operation.part(old[key], slot.numpy()) if (key := name.partition("|")[2]) in old else slot.numpy()
            for name, slot in slots.items()
        }
        kept = {key: operation.part(old[key], mask) for key, mask in masks.items()}
        spent = telling.seconds(self.memory["paces"][-1])
        take_smaller(run, operation, words=f"; an epoch took {spent:.2g} s so far" if spent else "")
        run.set_masks(kept)
        run.arrays[SLOTS] = carried
        self.memory["paces"].append([])
        self.network = self._network()
        self._keep(validation, slots=carried)

    # ---- states ----------------------------------------------------------------------------------------------------

    def _keep(self, validation: float, *, slots: dict[str, Any] | None = None) -> None:
        run = self.run
        run.arrays["accepted weights"] = run.weights()
        run.arrays["accepted masks"] = run.mask_arrays()
        if slots is None and run.optimizer is not None:
            slots = {k: v.numpy().copy() for k, v in optimizing.named(run.optimizer, variable_keys(run.model)).items()}
        run.arrays["accepted optimizer"] = slots or {}
        self.memory["accepted"] = validation

    def _put_back(self, *, words: str) -> None:
        run, masks = self.run, self.run.arrays["accepted masks"]
        now = run.mask_arrays()
        if any((masks[k] != now[k]).any() for k in masks):
            run.change_masks(masks, words=words)  # masks first: putting weights back respects them
        run.set_weights(run.arrays["accepted weights"])
        if run.optimizer is not None:
            # The count of steps goes on: the learning rate's course is one of time.
            assert run.compiled is not None
            kept = run.arrays.get("accepted optimizer", {})
            run.compiled[1].fresh.put(kept, variable_keys(run.model), counters=False)
            if run.masks is not None:
                run.masks.apply()

    def _baseline(self) -> None:
        """Takes the mean norms anew: pruning itself moves them."""
        columns = self.network.columns(self.run.mask_arrays())
        self.memory |= {"phase": "watch", "waited": 0, "means": {key: c.mean for key, c in columns.items()}}
        self._look(columns)

    @property
    def rules(self) -> dict[str, LayerRule]:
        """What each layer has learnt, by kernel key."""
        return {key: LayerRule(**state) for key, state in self.memory["layers"].items()}

    @rules.setter
    def rules(self, rules: dict[str, LayerRule]) -> None:
        self.memory["layers"] = {key: dataclasses.asdict(rule) for key, rule in rules.items()}

    def _learn(self, key: str, rule: LayerRule, *, say: bool = True) -> None:
        was = self.rules[key]
        self.memory["layers"][key] = dataclasses.asdict(rule)
        if rule.frozen and not was.frozen and say:
            name, limit = telling.layer_name(key), self.target.alpha_max
            self._say(
                f"epoch {self.run.epoch}: layer {name} is done: alpha is above {limit:g}", verdict="frozen", layer=key
            )

    def _open(self) -> bool:
        return any(not rule.frozen for rule in self.rules.values())

    # ---- judging and saying ----------------------------------------------------------------------------------------

    @property
    def _metric(self) -> str:
        return self.run.task.metric.name

    @property
    def _is_share(self) -> bool:
        return self.run.task.metric.direction == "max"

    def _within(self, validation: float) -> bool:
        return within(validation, first=self.memory["first"], drop=self.memory["drop"], share=self._is_share)

    def _look(self, columns: dict[str, Columns], changes: dict[str, float] | None = None) -> None:
        """Shows what the columns are like."""
        run, rules = self.run, self.rules
        for key, seen in columns.items():
            run.numbers[key] = telling.layer_numbers(seen, rules[key], (changes or {}).get(key, math.nan))
        run.show_layers()
        value = {telling.layer_name(key): telling.histogram(seen, rules[key]) for key, seen in columns.items()}
        run.say(Result(name="column_norms", value=value))

    def _tell(self, event: dict[str, Any], verdict: Literal["accepted", "rolled_back"], last: float, then: str) -> None:
        words = telling.outcome_words(event, metric=self._metric, recovered=last, verdict=then)
        self._say(words, verdict=verdict, event={**event, "recovered": last})

    def _say(
        self,
        words: str,
        *,
        verdict: Literal["tried", "accepted", "rolled_back", "frozen", "found"],
        event: dict[str, Any] | None = None,
        layer: str = "",
    ) -> None:
        shown = ("count", "of", "alpha", "beta", "delta", "before", "after", "recovered", "epochs")
        numbers = {k: number(event[k]) for k in shown if k in event} if event else {}
        self.run.say(
            Decided(
                epoch=self.run.epoch, layer=event["layer"] if event else layer, kind=event["kind"] if event else "none",
                words=words, verdict=verdict, numbers=numbers,
            )
        )  # fmt: skip


def within(validation: float, *, first: float, drop: float, share: bool) -> bool:
    """Whether no more than `drop` of `first` is lost; `share`: higher is better."""
    lost = first - validation if share else validation - first
    return bool(lost <= drop + 1e-12)


def _check(prune: Prune) -> None:
    if prune.target.name != "column_norm":
        raise PruneError(
            f"target {prune.target.name} does not go with schedule dynamic",
            where="prune.target",
            todo="Use target: column_norm; how far it goes follows from the network",
        )
    if prune.granularity.name != "weight":
        raise PruneError(
            f"granularity {prune.granularity.name} does not go with schedule dynamic",
            where="prune.granularity",
            todo="Use weight: the method decides itself where whole units go and where single weights do",
        )
