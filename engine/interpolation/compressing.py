"""`interpolate`: a smaller model that preserves what the original computes, label-free (Chee et al., NeurIPS 2022)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engine.errors import PruneError
from engine.heads import final_activation
from engine.interpolation.deciding import by_budget, by_error
from engine.interpolation.folding import Fit, Folder
from engine.interpolation.gathering import Array, Gathered, Gram, Halves, Triangle
from engine.interpolation.hearing import inputs_of
from engine.interpolation.readers import Couplings, couplings
from engine.interpolation.sizes import Budget
from engine.measurement.judging import judge

if TYPE_CHECKING:
    import keras

Keep = Mapping[str, Sequence[int]]
Method = Literal["gram", "qr"]


@dataclasses.dataclass(frozen=True, eq=False)
class Compression:
    """A compressed model, and how well it preserves the original.

    Attributes:
        model: the smaller model, an ordinary Keras model.
        fits: the interpolation error of each reader, in the order in which they were folded.
        kept: the units that stayed, by layer key, for the layers that lost some.
        sizes: units before and after, by layer key, of every layer that makes units.
        skipped: why units stayed that could have gone, by layer key.
        agreement: share of the inputs on which both models predict the same class; None where outputs are no classes or
            it was not asked for.
        flops: operations a sample, before and after.
        params: numbers in all variables, before and after.
    """

    model: keras.Model
    fits: tuple[Fit, ...]
    kept: dict[str, tuple[int, ...]]
    sizes: dict[str, tuple[int, int]]
    skipped: dict[str, str]
    agreement: float | None
    flops: tuple[int, int]
    params: tuple[int, int]


def interpolate(
    model: keras.Model,
    x: Any,
    *,
    keep: Keep | None = None,
    epsilon: float | Mapping[str, float] | None = None,
    flops: float | None = None,
    size: float | None = None,
    batch_size: int | None = None,
    method: Method = "gram",
    ridge: float | None = 0.0,
) -> keras.Model:
    """A smaller model whose removed units are linear mixtures of the kept ones, folded into the layers that read them.

    For each reader `Z ~ Z[:, keep] T` in least squares over the inputs, Z the very tensor that it reads (after
    BatchNorm, nonlinearity, pooling), from the net as compressed so far; then `W <- T W` along its input axis. Exactly
    one of `keep`, `epsilon`, `flops` and `size` says what stays. See `compress` for the report.

    Args:
        model: a built Functional or Sequential model; it is the same afterwards.
        x: unlabelled inputs: an array, `(x, y)` (y is not looked at), a `tf.data.Dataset` of batches or an iterator.
        keep: by layer key, the units that stay; layers that are not named keep all. What is coupled goes together.
        epsilon: every layer keeps the smallest k with `|R[k,k]| / |R[0,0]| <= epsilon` of the pivoted QR of Z; or one
            epsilon a layer key.
        flops: the share of the FLOPs that may stay; the sizes of the layers are found (methods.md §5).
        size: the same for the number of parameters.
        batch_size: rows run at a time, where x is arrays; None takes as many as memory allows. If that is all of them
            the model is run once, else once a reader.
        method: `gram` (pivoted Cholesky of Z^T Z in float64) or `qr` (row blocks; slower, right below 1e-8 as well).
        ridge: what the least squares add to the diagonal, as a share of the mean square of a kept unit. 0 is the method
            as published, exact on x where that is possible; None lets cross-validation choose, which is nearer to the
            original on other inputs when x has few rows for many units.

    Returns:
        The smaller model, an ordinary Keras model.

    Raises:
        PruneError: not exactly one of the four is given, or one is out of range.
        UnknownName: there is no such layer.
        ModelError: the model's graph cannot be seen.
        DataError: there are no inputs, or activations are not finite.
    """
    return compress(
        model,
        x,
        keep=keep,
        epsilon=epsilon,
        flops=flops,
        size=size,
        batch_size=batch_size,
        method=method,
        ridge=ridge,
        agree_on=None,
    ).model


def interpolate_with_report(model: keras.Model, x: Any, **how: Any) -> tuple[keras.Model, Compression]:
    """As `interpolate`, with the report beside the model: errors, sizes, what was skipped, agreement, FLOPs.

    Args:
        model: as for `interpolate`.
        x: as for `interpolate`.
        **how: what `compress` takes: `keep`, `epsilon`, `flops` or `size`; `batch_size`, `method`, `agree_on`,
            `on_fit`.
    """
    made = compress(model, x, **how)
    return made.model, made


def compress(
    model: keras.Model,
    x: Any,
    *,
    keep: Keep | None = None,
    epsilon: float | Mapping[str, float] | None = None,
    flops: float | None = None,
    size: float | None = None,
    batch_size: int | None = None,
    method: Method = "gram",
    ridge: float | None = 0.0,
    agree_on: Any = "x",
    on_fit: Callable[[Fit], None] | None = None,
) -> Compression:
    """As `interpolate`, with the report beside the model.

    Args:
        model: as for `interpolate`, and so are the others up to `method`.
        x: unlabelled inputs.
        keep: the units that stay, by layer key.
        epsilon: the relative error that every layer may have.
        flops: the share of the FLOPs that may stay.
        size: the share of the parameters that may stay.
        batch_size: rows run at a time; None takes as many as memory allows.
        method: `gram` or `qr`.
        ridge: of the least squares; None lets cross-validation choose.
        agree_on: inputs on which both models' predicted classes are compared: "x" takes x itself, None compares none.
        on_fit: told of every fit as it is made.
    """
    from engine.surgery.plan import check_units
    from engine.surgery.removal import remove

    _check(keep=keep, epsilon=epsilon, flops=flops, size=size, method=method, ridge=ridge)
    known = couplings(model)
    inputs = inputs_of(x, model=model, rows=batch_size)
    if isinstance(epsilon, Mapping):
        check_units(known.trace, dict.fromkeys(epsilon, ()), where="interpolate")
    with _kernels_restored(model, known):
        folder, skipped = _folded(
            model,
            known,
            inputs,
            keep=keep,
            epsilon=epsilon,
            flops=flops,
            size=size,
            summing=_summing(method, ridge),
            on_fit=on_fit,
        )
        spaces = known.trace.spaces
        gone = {key: np.flatnonzero(~folder.keep[space.labels]) for key, space in spaces.items()}
        done = remove(model, {key: units for key, units in gone.items() if len(units)})
    kept = {k: tuple(int(u) for u in np.flatnonzero(folder.keep[spaces[k].labels])) for k in done.report.removed}
    sizes_of = {k: (len(s.labels), len(s.labels) - len(done.report.removed.get(k, ()))) for k, s in spaces.items()}
    agreed = None
    if agree_on is not None:  # x itself may be an iterator, and at its end
        agreed = _agreement(model, done.model, inputs if _is_x(agree_on) else inputs_of(agree_on, model=model))
    report = done.report
    return Compression(done.model, tuple(folder.fits), kept, sizes_of, skipped, agreed, report.flops, report.params)


def units_within(
    model: keras.Model,
    x: Any,
    *,
    epsilon: float | Mapping[str, float] | None = None,
    flops: float | None = None,
    size: float | None = None,
    batch_size: int | None = None,
) -> dict[str, Array]:
    """The units that `interpolate` would keep, without making the smaller model: for masks, and for runs.

    Args:
        model: as for `interpolate`; it is the same afterwards.
        x: unlabelled inputs.
        epsilon: the relative error that every layer may have.
        flops: the share of the FLOPs that may stay.
        size: the share of the parameters that may stay.
        batch_size: rows run at a time; None takes as many as memory allows.

    Returns:
        By layer key, a bool array `(units,)`, True = keep, for every layer that makes units.
    """
    _check(epsilon=epsilon, flops=flops, size=size, keep=None, method="gram", ridge=0.0)
    known = couplings(model)
    inputs = inputs_of(x, model=model, rows=batch_size)
    with _kernels_restored(model, known):
        folder, _ = _folded(
            model, known, inputs, keep=None, epsilon=epsilon, flops=flops, size=size, summing=Gram, on_fit=None
        )
    return {key: folder.keep[space.labels] for key, space in known.trace.spaces.items()}


def fold(
    model: keras.Model,
    x: Any,
    removed: Mapping[str, Sequence[int]],
    *,
    batch_size: int | None = None,
    ridge: float | None = None,
    on_fit: Callable[[Fit], None] | None = None,
) -> tuple[tuple[Fit, ...], dict[str, str]]:
    """Folds what is to be removed into its readers, in place, and removes nothing: for masked models (and for runs).

    The removed units must still compute what they did, so put their weights back first if masks have zeroed them; apply
    the masks again afterwards. Their rows in the readers are 0 then, so that masking or removing them changes nothing.

    Args:
        model: a built Functional or Sequential model; its readers' kernels change.
        x: unlabelled inputs, as for `interpolate`.
        removed: by layer key, the units that are (to be) gone.
        batch_size: rows run at a time; None takes as many as memory allows.
        ridge: of the least squares; None lets cross-validation choose (0 where nothing is better).
        on_fit: told of every fit as it is made.

    Returns:
        The fits, and why layers were left as they are.
    """
    known = couplings(model)
    stays, skipped = _start(known, _complement(known, removed))
    inputs = inputs_of(x, model=model, rows=batch_size)
    folder = Folder(model, known, inputs, keep=stays, summing=_summing("gram", ridge))
    folder.run((), on_fit=on_fit)
    return tuple(folder.fits), skipped


def agreement_of(one: keras.Model, other: keras.Model, x: Any, *, batch_size: int | None = None) -> float | None:
    """Share of the inputs on which two models predict the same class; None where outputs are no classes.

    Args:
        one: a model.
        other: a model with the same inputs and outputs.
        x: inputs, as for `interpolate`.
        batch_size: rows run at a time; None takes as many as memory allows.
    """
    return _agreement(one, other, inputs_of(x, model=one, rows=batch_size))


def _agreement(one: keras.Model, other: keras.Model, inputs: Callable[[], Iterable[Any]]) -> float | None:
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def both(batch: Any) -> Any:
        return one(batch, training=False), other(batch, training=False)

    final, head = final_activation(one), None
    same = total = 0
    for batch in inputs():
        first, second = both(tf.nest.map_structure(tf.convert_to_tensor, batch))
        if not tf.is_tensor(first) or len(first.shape) < 2:
            return None
        a, b = first.numpy(), second.numpy()
        head = head or judge(one, final, a, None, None, whole=tuple)
        said = head.classes(a)
        if said is None:
            return None
        same += int(np.sum(said == head.classes(b)))
        total += said.size
    return same / total if total else None


def _is_x(value: Any) -> bool:
    return isinstance(value, str) and value == "x"


def _check(**given: Any) -> None:
    chosen = {k: given[k] for k in ("keep", "epsilon", "flops", "size") if given[k] is not None}
    if len(chosen) != 1:
        said = " and ".join(chosen) or "none"
        raise PruneError(
            f"exactly one of keep, epsilon, flops and size says what stays; {said} was given", where="interpolate"
        )
    name, value = next(iter(chosen.items()))
    for number in value.values() if name == "epsilon" and isinstance(value, Mapping) else (value,):
        if name != "keep" and not (isinstance(number, Real) and 0 <= float(number) <= 1):
            raise PruneError(f"{name} must be between 0 and 1, got {number}", where="interpolate")
    if given["method"] not in ("gram", "qr"):
        raise PruneError(f"method must be gram or qr, got {given['method']!r}", where="interpolate")
    if given["ridge"] is None and given["method"] == "qr":
        raise PruneError("a ridge by cross-validation needs method gram", where="interpolate")
    if given["ridge"] is not None and not given["ridge"] >= 0:
        raise PruneError(f"ridge must be at least 0, got {given['ridge']}", where="interpolate")


def _summing(method: Method, ridge: float | None) -> Callable[[int], Gathered]:
    kind: type[Gathered] = Triangle if method == "qr" else Halves if ridge is None else Gram
    return lambda units: kind(units, ridge=ridge)


def _start(known: Couplings, keep: Keep | None) -> tuple[Array, dict[str, str]]:
    """What stays at first (bool, by label), and why layers are skipped."""
    from engine.surgery.plan import check_units, plan_removal

    obstacles = {int(c): g.obstacle for g in known.groups if g.obstacle for c in known.parts.of[g.labels]}
    if keep is None:
        skipped = {name: g.obstacle for g in known.groups if g.obstacle for name in g.group.layers}
        return np.ones(known.trace.count, bool), skipped
    check_units(known.trace, keep, where="interpolate")
    gone = _complement(known, keep)
    plan = plan_removal(known.trace, check_units(known.trace, gone), barred=obstacles)
    reasons: dict[str, list[str]] = {}
    for skip in plan.skipped:
        reasons.setdefault(skip.layer, []).append(skip.reason)
    return plan.keep, {layer: "; ".join(dict.fromkeys(said)) for layer, said in reasons.items()}


def _complement(known: Couplings, units: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """The other units of these layers; of a layer that makes none, nothing."""
    spaces = known.trace.spaces
    return {
        key: sorted(set(range(len(spaces[key].labels))) - {int(u) for u in numbers}) if key in spaces else []
        for key, numbers in units.items()
    }


def _folded(
    model: keras.Model,
    known: Couplings,
    inputs: Callable[[], Iterable[Any]],
    *,
    keep: Keep | None,
    epsilon: float | Mapping[str, float] | None,
    flops: float | None,
    size: float | None,
    summing: Callable[[int], Gathered],
    on_fit: Callable[[Fit], None] | None,
) -> tuple[Folder, dict[str, str]]:
    """Decides what stays and folds the rest, in place."""
    stays, skipped = _start(known, keep)
    folder = Folder(model, known, inputs, keep=stays, summing=summing)
    groups = [g for g in known.groups if not g.obstacle]
    if keep is not None:
        folder.run((), on_fit=on_fit)
    elif epsilon is not None:
        folder.run(groups, decide=by_error(epsilon), on_fit=on_fit)
    else:
        what: Budget = "flops" if flops is not None else "size"
        share = flops if flops is not None else size
        assert share is not None
        sizes = by_budget(model, known, folder, groups, what=what, share=share)
        folder.run(groups, decide=lambda group, _: sizes[id(group)], on_fit=on_fit)
    return folder, skipped


@contextmanager
def _kernels_restored(model: keras.Model, known: Couplings) -> Iterator[None]:
    before = [(r.variable, r.variable.numpy()) for r in known.readers]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)
