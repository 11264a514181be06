"""Budgets in a run: the smallest model whose accuracy, size, FLOPs or prediction time stays within one.

An accuracy budget trains: each trial prunes the dense model to a sparsity, repairs it, and is judged on validation. The
other budgets are known from the masks, so they are searched first and repaired once. The best model so far is always
kept: a run that is stopped leaves it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
import numpy as np

from engine.errors import PruneError
from engine.events import Decided, Measured, Result, as_float, number
from engine.layout import Array
from engine.recipe import Part, Prune
from engine.registry import make
from engine.running.adaptive import costs
from engine.running.adaptive.shares import Sensitivity, per_layer
from engine.running.choosing import masks_at, scores
from engine.running.context import Run
from engine.running.control import Cancelled
from engine.running.feeding import Evaluation
from engine.running.repairing import repair
from engine.targets.search import Search

UNREPAIRED = "before repair"
MORE_TRIALS = 4
"""Trials of each further variant: it only has to be tried beyond what the one before could do."""


def search_budget(run: Run) -> None:
    """The stage of a budget: searches, then leaves the best model in the run.

    Raises:
        PruneError: the granularity has one sparsity only, so there is nothing to search.
    """
    prune = run.recipe.prune
    assert prune is not None
    if prune.granularity.name == "n:m":
        raise PruneError(
            "n:m has one sparsity only, so there is nothing to search",
            where="prune.granularity",
            todo="Use weight, unit or block:RxC",
        )
    search = BudgetSearch(run, prune)
    try:
        search.go()
    except Cancelled:
        search.leave()
        raise
    search.leave()
    search.tell_end()


@dataclass(frozen=True)
class Variant:
    """One way to prune: a sentence, perhaps with shares from the layers' sensitivity instead of its scope."""

    prune: Prune
    shares: bool = False


class BudgetSearch:
    """The search on one run; all that it knows between trials is in `run.memory["search"]` and `run.arrays`.

    Attributes:
        target: the budget's rules. prune: the recipe's own sentence; variants of it may be tried after it.
        memory: `rows` (trials), `best`, `variant`, `bounds` (of the variant's bisection), `trial` (while one trains).
    """

    def __init__(self, run: Run, prune: Prune) -> None:
        self.run, self.prune = run, prune
        self.kind = prune.target.name
        self.target = make("target", prune.target.name, prune.target.params)
        self.memory: dict[str, Any] = run.memory.setdefault("search", {"rows": [], "best": None, "variant": 0})
        self.found: dict[str, Any] | None = None
        self.dense_each: Array | None = None
        if "dense" not in self.memory:
            self._start()
        self.variants = [*self._variants()]

    @property
    def trains(self) -> bool:
        """True when every trial is repaired and judged."""
        return self.kind == "accuracy_drop"

    def go(self) -> None:
        """All trials that are left."""
        while self.memory["variant"] < len(self.variants):
            self._use(self.variants[self.memory["variant"]].prune)
            bounds = Search(**self.memory["bounds"]) if self.memory.get("bounds") else self._bounds()
            while not bounds.done:
                sparsity = bounds.ask()
                good = self._trial(sparsity)
                bounds = bounds.tell(good=good)
                self.memory["bounds"] = asdict(bounds)
                self.run.save()
                self.run.control.check()
            self.memory |= {"variant": self.memory["variant"] + 1, "bounds": None}
            self.found = None

    # ---- one trial -------------------------------------------------------------------------------------------------

    def _trial(self, sparsity: float) -> bool:
        run, memory = self.run, self.memory
        if memory.get("trial") is None:
            self._clean()
            if self._continues(sparsity):
                self._put_best()
            words = f"trial {len(memory['rows']) + 1}: {sparsity:.2%} of the {self._pieces}"
            run.begin("pruning", words)
            run.change_masks(self._masks(sparsity), target=sparsity, words=words)
            loss, metric = run.validate()
            memory["trial"] = {
                "repair": 0, "before": {"validation": number(metric), "validation_loss": number(loss)}
            }  # fmt: skip
        helped = self._repair() if self.trains else True
        trial = memory["trial"]
        loss, metric = run.validate()
        cost = costs.of(run, self._objective, batch_size=int(self.prune.target.get("batch_size") or 1))
        size = cost if self._objective == "size" else costs.of(run, "size")
        error = self._error() if self.trains else 0.0
        good = self._within(metric, cost, error)
        row = {
            "sparsity": run.sparsity(), "validation": number(metric), "cost": cost, "within": good, "error": error,
            "repaired": helped,
            "variant": self._variant_words, "objective": self._objective, "size": size,
        }  # fmt: skip
        memory["rows"].append(row)
        if good and (memory["best"] is None or self._beats(row, memory["best"])):
            self._keep({**row, "before": trial["before"], "target": sparsity})
        memory["trial"] = None
        self._tell(row)
        return good

    def _within(self, metric: float, cost: float, error: float) -> bool:
        dense = self.memory["dense"]
        if not self.trains:
            return bool(self.target.within(dense, cost))
        if not math.isfinite(metric):
            return False
        if self.run.task.metric.direction == "min":  # an error may rise by as much as an accuracy may drop
            return bool(self.target.within(metric, dense, error=error))
        return bool(self.target.within(dense, metric, error=error))

    def _error(self) -> float:
        """The standard error of the loss against the dense model: both judged the same examples, so pair by pair."""
        run = self.run
        if self.dense_each is None:
            self.dense_each = Evaluation(run.dense, run.task, run.data.x_val, run.data.y_val).each()
        pairs = self.dense_each - run.validate_each()
        return float(np.std(pairs) / math.sqrt(len(pairs))) if len(pairs) else 0.0

    def _repair(self) -> bool:
        """Repairs the trial; False where it was better without, which is then what is judged.

        Else a fine-tuning that disturbs a well-trained network would make even the smallest trial fail.
        """
        run, trial = self.run, self.memory["trial"]
        if trial["repair"] == 0 and run.done == 0:
            run.arrays[UNREPAIRED] = run.weights()
        for index, part in enumerate(self.prune.repair):
            if index < trial["repair"]:
                continue
            repair(part, index)(run)
            trial["repair"] = index + 1
            run.done, run.optimizer = 0, None
        unrepaired = run.arrays.pop(UNREPAIRED)
        if not run.better(as_float(trial["before"]["validation"]), run.validate()[1]):
            return True
        run.set_weights(unrepaired)
        return False

    def _masks(self, sparsity: float) -> dict[str, Any]:
        run, variant = self.run, self.variants[self.memory["variant"]]
        if variant.shares:
            scope = Part("layer", {
                "skip": variant.prune.scope.get("skip") or (),
                "per_layer": per_layer(self._sensitivity().shares_for(sparsity)),
            })  # fmt: skip
            self._use(msgspec.structs.replace(variant.prune, scope=scope))
        return masks_at(run, sparsity, seed=run.seed("score"), found=self._scores())

    def _scores(self) -> dict[str, Any] | None:
        if self.run.by_units or self.trains:
            return None
        if self.found is None:  # of the dense model, once: nothing is trained on the way
            self.found = scores(self.run, seed=self.run.seed("score"))
        return self.found

    def _continues(self, sparsity: float) -> bool:
        """True where a trial can go on from the best so far: pruned in steps, a net keeps more than in one."""
        best, now = self.memory["best"], self.run.recipe.prune
        if not self.trains or best is None or now is None or best["architecture"] or best["target"] >= sparsity:
            return False
        return bool(best["prune"]["granularity"]["name"] == now.granularity.name)

    def _put_best(self) -> None:
        run, best = self.run, self.memory["best"]
        run.memory |= best["left"]
        if masks := run.arrays.get("best masks", {}):
            run.set_masks(masks)
        run.set_weights(run.arrays["best weights"])

    def _clean(self) -> None:
        """The dense model again, nothing masked."""
        run = self.run
        for name in ("units", "unit_counts"):
            run.memory.pop(name, None)
        if run.memory.pop("original", None) is not None:
            run.take(run.fresh_model())
        elif run.masks is not None:
            run.set_masks({k: np.ones(m.shape, dtype=bool) for k, m in run.mask_arrays().items()})
        run.set_weights(run.arrays["dense"])
        run.optimizer, run.done = None, 0

    # ---- the best --------------------------------------------------------------------------------------------------

    def _keep(self, row: dict[str, Any]) -> None:
        run = self.run
        shrunk = "original" in run.memory
        left = {k: run.memory[k] for k in ("original", "units", "unit_counts") if k in run.memory}
        prune = msgspec.to_builtins(run.recipe.prune)
        self.memory["best"] = {
            **row, "left": left, "prune": prune, "architecture": run.model.to_json() if shrunk else None,
        }  # fmt: skip
        run.arrays["best weights"], run.arrays["best masks"] = run.weights(), run.mask_arrays()

    def _beats(self, row: dict[str, Any], best: dict[str, Any]) -> bool:
        if self.trains and self._objective == "latency":
            # Times closer than the clock can tell are equal; then the smaller model is the better one.
            low, high = (1 - costs.NOISE) * best["cost"], (1 + costs.NOISE) * best["cost"]
            return bool(row["cost"] < low or (row["cost"] <= high and row["size"] < best["size"]))
        if self.trains:
            return bool(row["cost"] < best["cost"])
        return bool(row["sparsity"] < best["sparsity"])  # within the budget anyway: the one that loses least

    def leave(self) -> None:
        """Puts the best model into the run; the dense one where nothing was within the budget."""
        run, best = self.run, self.memory["best"]
        self._clean()
        if best is None:
            run.show_layers()
            return
        self._use(msgspec.convert(best["prune"], Prune))
        run.memory["units_masked"] = run.by_units  # a resume knows the recipe only
        if best["architecture"]:
            import keras

            run.take(keras.models.model_from_json(best["architecture"]))
        self._put_best()
        run.show_layers()

    def tell_end(self) -> None:
        """Says what was found."""
        run, best = self.run, self.memory["best"]
        if best is None:
            words = "nothing was within the budget: the dense model is kept"
            run.say(Decided(epoch=run.epoch, layer="", kind="none", words=words, verdict="stopped"))
            run.note(words + self._advice, warning=True)
            return
        run.memory["before_recovery"] = best["before"]
        run.say(Measured(which="before_recovery", values=dict(best["before"])))
        words = f"found: {best['sparsity']:.2%} of the {self._pieces} gone ({best['variant']}), {self._judged(best)}"
        run.say(Decided(epoch=run.epoch, layer="", kind=self._kind, words=words, verdict="found"))

    # ---- variants --------------------------------------------------------------------------------------------------

    def _variants(self) -> list[Variant]:
        prune, asked = self.prune, tuple(self.prune.target.get("vary") or ())
        made = [Variant(prune)]
        if "scope" in asked:
            shared: dict[str, Any] = {"skip": prune.scope.get("skip") or (), "per_layer": {}}
            names = [n for n in ("global", "layer") if n != prune.scope.name]
            made += [Variant(msgspec.structs.replace(prune, scope=Part(n, shared))) for n in names]
        if "shares" in asked:
            made.append(Variant(prune, shares=True))
        other = {"weight": Part("unit", {"group": "sum"}), "unit": Part("weight")}.get(prune.granularity.name)
        if "granularity" in asked and other is not None:
            made.append(Variant(msgspec.structs.replace(prune, granularity=other)))
        return made

    def _use(self, prune: Prune) -> None:
        self.run.recipe = msgspec.structs.replace(self.run.recipe, prune=prune)

    def _bounds(self) -> Search:
        search: Search = self.target.search()
        best, prune = self.memory["best"], self.variants[self.memory["variant"]].prune
        if self.memory["variant"] == 0:
            return search
        if best is None or prune.granularity.name != self.prune.granularity.name:
            return replace(search, trials=max(MORE_TRIALS, search.trials // 2))
        return replace(search, low=float(best["target"]), trials=MORE_TRIALS)

    def _sensitivity(self) -> Sensitivity:
        from engine.running.adaptive.sensing import table_of
        from engine.schedules.sensitivity import SPARSITIES

        if "sensitivity" not in self.memory:
            self.memory["sensitivity"] = msgspec.to_builtins(table_of(self.run, SPARSITIES), str_keys=True)
        kept: Sensitivity = msgspec.convert(self.memory["sensitivity"], Sensitivity, strict=False)
        return kept

    # ---- words -----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        _, metric = self.run.validate()
        if self.trains:
            self.run.note(self._knowledge(metric))
        if self.trains and "shares" in (self.prune.target.get("vary") or ()):
            self._sensitivity()  # of the dense model
        self.memory["dense"] = metric if self.trains else 1.0  # costs are shares of the dense model's

    def _knowledge(self, dense: float) -> str:
        """What the validation part can know, in words."""
        name, count, target = self.run.task.metric.name, len(self.run.data.x_val), self.target
        known = ""
        if self.run.task.metric.direction == "max":
            noise = math.sqrt(max(0.0, dense * (1 - dense)) / max(1, count))
            known = f", which know the dense model's {dense:.4f} to ±{noise:.4f}"
        more = (
            f" and {target.margin:g} standard error{'' if target.margin == 1 else 's'} of it" if target.margin else ""
        )
        return (
            f"judged by {count:,} validation examples{known}: a trial is within the budget when its loss of "
            f"{name}{more} fit into {target.accuracy_drop:g}"
        )

    @property
    def _objective(self) -> str:
        return str(self.prune.target.get("objective") or "size") if self.trains else self.kind

    @property
    def _kind(self) -> Any:
        return "units" if self.run.by_units else "weights"

    @property
    def _pieces(self) -> str:
        return "units" if self.run.by_units else "weights"

    @property
    def _advice(self) -> str:
        if self.kind == "latency" and not self.run.by_units:
            return " (masks make no prediction faster: use granularity unit)"
        return ""

    @property
    def _variant_words(self) -> str:
        variant = self.variants[self.memory["variant"]]
        scope = "shares from sensitivity" if variant.shares else variant.prune.scope.name
        return f"{variant.prune.granularity.name}, {scope}"

    def _judged(self, row: dict[str, Any]) -> str:
        name = self.run.task.metric.name
        value = float(row["validation"])
        cost = f"{row['cost']:.1%} of the dense {_COSTS[row['objective']]}"
        if self.trains:
            lost = (
                self.memory["dense"] - value
                if self.run.task.metric.direction == "max"
                else value - self.memory["dense"]
            )
            how = "" if row["repaired"] else " without repair, which made it worse"
            return (
                f"{name} {value:.4f}{how} (lost {lost:.4f} ±{row['error']:.4f} of {self.memory['dense']:.4f}), {cost}"
            )
        return f"{cost}, {name} {value:.4f} before recovery"

    def _tell(self, row: dict[str, Any]) -> None:
        run = self.run
        words = (
            f"trial {len(self.memory['rows'])}: {row['sparsity']:.2%} of the {self._pieces} gone ({row['variant']}): "
            f"{self._judged(row)}: {'within' if row['within'] else 'not within'} the budget"
        )
        numbers = {k: number(float(row[k])) for k in ("sparsity", "validation", "cost")}
        verdict: Any = "accepted" if row["within"] else "rolled_back"
        run.say(Decided(epoch=run.epoch, layer="", kind=self._kind, words=words, verdict=verdict, numbers=numbers))
        run.say(Result(name="search", value=list(self.memory["rows"])))


_COSTS = {"size": "size", "flops": "FLOPs", "latency": "prediction time"}
