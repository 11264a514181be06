"""From a sentence and a model in training to masks at a sparsity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import keras
import numpy as np

from engine import catalog, registry
from engine.criteria.context import Arrays, Context
from engine.errors import PruneError
from engine.layout import Array, kernels
from engine.pruning_callback.sentence import Sentence
from engine.scoring.context import ModelContext
from engine.scoring.pruning import find_masks

Masking = dict[str, Array]


@dataclass(frozen=True)
class Given:
    """A criterion whose scores are known already."""

    arrays: Arrays

    def score(self, context: Context) -> Arrays:
        """The scores that were given."""
        return {key: self.arrays[key] for key in context.kernels if key in self.arrays}


class Finder:
    """Finds masks for one model under one sentence.

    Args:
        sentence: what to do.
        scene: the model and the data to score on.
        data: the same data, for criteria that score units.
        loss: for criteria that take gradients.
    """

    def __init__(self, sentence: Sentence, scene: ModelContext, data: Any, loss: Any) -> None:
        self.sentence, self.scene, self.data, self.loss = sentence, scene, data, loss
        self.layouts = {key: k.layout for key, k in kernels(scene.model).items()}
        self._kept: dict[str, Array] = {}

    def all_kept(self) -> Masking:
        """Masks of ones for every variable that this sentence may ever mask."""
        if not self.sentence.by_units:
            return {key: np.ones(k.shape, bool) for key, k in kernels(self.scene.model).items()}
        from engine.surgery import layer_units, unit_masks

        model = self.scene.model
        whole = {key: np.ones(layer.units, bool) for key, layer in layer_units(model).items()}
        found: Masking = unit_masks(model, whole)
        return found

    def of_the_output(self, masks: Mapping[str, Array]) -> dict[str, Fraction]:
        """The sparsity of the output kernel after this round, where the rounds have a share of its own for it."""
        *_, (key, kernel) = self.scene.kernels.items()
        found: dict[str, Fraction] = self.sentence.schedule.output(key, masks, math.prod(kernel.shape))
        return found

    def aimed_at(self, masks: Mapping[str, Array]) -> tuple[int, int]:
        """How many weights or units the target is a share of, and how many are left: excepted layers do not count."""
        if self.sentence.by_units:
            return self._units_aimed_at()
        excepted = self._excepted(self.layouts) | self.of_the_output(masks).keys()
        ours = [m for key, m in masks.items() if key in self.layouts and key not in excepted]
        return sum(m.size for m in ours), sum(int(np.count_nonzero(m)) for m in ours)

    def _units_aimed_at(self) -> tuple[int, int]:
        from engine.surgery import aimed_units, layer_units

        units = layer_units(self.scene.model)
        found: tuple[int, int] = aimed_units(units, self._kept, scope=self.sentence.scope, params=self._of_the_scope())
        return found

    def _excepted(self, keys: Iterable[str]) -> set[str]:
        return set(registry.make("scope", self.sentence.scope, self._of_the_scope()).overrides(sorted(keys)))

    def _of_the_scope(self) -> dict[str, Any]:
        known = catalog.get("scope", self.sentence.scope)
        return {k: v for k, v in self.sentence.chosen.items() if known.param(k)}

    def at(self, sparsity: float | Fraction, masks: Mapping[str, Array], *, scores: Arrays | None = None) -> Masking:
        """Masks at a sparsity; what is gone in `masks` stays gone.

        Args:
            sparsity: the share that goes.
            masks: what is kept now.
            scores: known already (movement); None asks the criterion.
        """
        if self.sentence.by_units:
            return self._units(sparsity, scores)
        criterion = self.sentence.criterion if scores is None else Given(scores)
        params = dict(self.sentence.chosen)
        if own := self.of_the_output(masks) if self.sentence.when == "iterative" else {}:
            theirs = params.get("per_layer", {})
            params["per_layer"] = {**theirs, **own, **theirs}  # the first pattern that fits counts
        return find_masks(
            self.scene,
            criterion,
            sparsity,
            granularity=self.sentence.granularity,
            scope=self.sentence.scope,
            params=params,
            within={k: m for k, m in masks.items() if k in self.layouts},
        )

    def within_budget(self, masks: Mapping[str, Array], *, scores: Arrays | None = None) -> float:
        """The smallest sparsity at which the budget (FLOPs, size) is kept, from the scores as they are now."""
        measure = _measure(self.scene.model, self.sentence.until)
        search = self.sentence.target.search()
        kept = dict(self._kept)
        dense = measure({})
        while not search.done:
            good = self.sentence.target.within(dense, measure(self.at(search.ask(), masks, scores=scores)))
            self._kept = dict(kept)
            search = search.tell(good=good)
        return search.best if search.best is not None else 1.0

    def _units(self, sparsity: float | Fraction, known: Arrays | None) -> Masking:
        from engine.scoring.units import score_units, units_of_weights
        from engine.surgery import kept_units, layer_units, unit_masks

        model, chosen = self.scene.model, dict(self.sentence.chosen)
        pool = chosen.pop("group", "sum")
        if known is None:
            criterion, data = self.sentence.criterion, self.data
            scores: Arrays = score_units(model, criterion, data, loss=self.loss, seed=self.scene.seed, pool=pool)
        else:
            kernel_scores = {key: s for key, s in known.items() if key in self.layouts}
            scores = units_of_weights(model, kernel_scores, pool=pool)
        self._kept = kept_units(
            layer_units(model),
            scores,
            sparsity,
            scope=self.sentence.scope,
            params=chosen,
            before=self._kept or None,
        )
        found: Masking = unit_masks(model, self._kept)
        return found


def _measure(model: keras.Model, what: str) -> Callable[[Mapping[str, Array]], float]:
    if what == "size":
        total = model.count_params()
        return lambda masks: float(total - sum(int(np.count_nonzero(~m)) for m in masks.values()))
    from engine.measurement.flops import layer_costs

    costs = layer_costs(model)
    products: dict[str, int] = {}
    for cost in costs.values():
        for key, flops in cost.products.items():
            products[key] = products.get(key, 0) + flops
    if not products:
        raise PruneError("the FLOPs of this model cannot be counted", todo="Give sparsity=... instead")
    dense = sum(cost.flops for cost in costs.values())

    def effective(masks: Mapping[str, Array]) -> float:
        saved = (n * (1.0 - float(np.mean(masks[key]))) for key, n in products.items() if key in masks)
        return dense - sum(saved)

    return effective
