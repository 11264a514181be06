"""Folding the mixtures into the readers' kernels, from the first reader to the last, each on the net as it is by then.

Until all is folded nothing is removed: a removed unit's rows in its readers become 0, which gives the same function as
the smaller net, and the net that is listened to stays one and the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import PruneError
from engine.interpolation.gathering import Array, Gathered, Gram
from engine.interpolation.hearing import EnoughHeard, hear, order_of
from engine.interpolation.mixing import error, mixture
from engine.interpolation.pivoting import Pivots, pivots
from engine.interpolation.readers import Coupled, Couplings, Read, Reader
from engine.repairs.listening import Call, replaced

if TYPE_CHECKING:
    import keras

Inputs = Callable[[], Iterable[Any]]
Decide = Callable[[Coupled, Pivots], int]


@dataclasses.dataclass(frozen=True)
class Fit:
    """How well one reader's input is made from what is left.

    Attributes:
        reader: the key of the layer whose kernel took up the mixture (`Reader.key`).
        layers: the layers whose units were removed from its input.
        before, after: width of its input.
        error: `||Z - Z[:, keep] T||_F / ||Z||_F` over the inputs, Z the tensor that the reader reads.
        rows: rows of Z.
    """

    reader: str
    layers: tuple[str, ...]
    before: int
    after: int
    error: float
    rows: int


class Folder:
    """Folds a net, reader by reader, in the order in which they run.

    Attributes:
        keep: bool `(labels,)` of the trace: what stays; may still be decided while folding.
        fits: what was folded so far.
    """

    def __init__(
        self,
        model: keras.Model,
        known: Couplings,
        inputs: Inputs,
        *,
        keep: Array,
        summing: Callable[[int], Gathered] = Gram,
    ) -> None:
        self.model, self.known, self.inputs, self.keep = model, known, inputs, keep
        self.sum = summing
        self.fits: list[Fit] = []
        readers = known.readers
        self._runs = order_of(model, [r.layer for r in readers], next(iter(inputs()))) if readers else {}
        self.readers = sorted((r for r in readers if id(r.layer) in self._runs), key=lambda r: self._runs[id(r.layer)])
        self._held: dict[tuple[int, int], Gathered] = {}
        self._pivots: dict[int, Pivots] = {}
        self._inside = False
        self._here: dict[int, list[Array]] = {}

    def run(
        self, groups: Iterable[Coupled], *, decide: Decide | None = None, on_fit: Callable[[Fit], None] | None = None
    ) -> None:
        """Folds every reader; with `decide`, how many units of each group stay is asked where it is first read."""
        waiting = {id(g): g for g in groups}

        def act(reader: Reader) -> None:
            if decide is not None:
                for group in [g for g in waiting.values() if any(r.reader is reader for r in g.reads)]:
                    del waiting[id(group)]
                    self._decide(group, decide)
            fit = self.fold(reader)
            if fit is not None:
                self.forget()  # the net is another one now
                self.fits.append(fit)
                if on_fit:
                    on_fit(fit)

        batch = self._only_batch() if all(runs == 1 for _, runs in self._runs.values()) else None
        if batch is None:
            for reader in self.readers:
                act(reader)
        elif self.readers:
            self._through(batch, act)

    def _through(self, batch: Any, act: Callable[[Reader], None]) -> None:
        """One run of the model for all readers: each is folded when the run arrives at it, before it computes."""
        import tensorflow as tf

        failed: list[PruneError] = []

        def arrive(layer: keras.Layer) -> Callable[[Call], Call]:
            def make(real: Call) -> Call:
                def call(inputs: Any, *args: Any, **kwargs: Any) -> Any:
                    if not self._inside:  # a run inside this one, for a group with several readers, only passes by
                        self._inside, self._here = True, {id(layer): [inputs.numpy()]}
                        try:
                            for reader in [r for r in self.readers if r.layer is layer]:
                                act(reader)
                        except PruneError as error:  # past Keras, which would write the call's arguments into it
                            failed.append(error)
                            raise EnoughHeard from error
                        finally:
                            self._inside, self._here = False, {}
                        if layer is self.readers[-1].layer:
                            raise EnoughHeard
                    return real(inputs, *args, **kwargs)

                return call

            return make

        with replaced({r.layer: arrive(r.layer) for r in self.readers}), contextlib.suppress(EnoughHeard):
            self.model(tf.nest.map_structure(tf.convert_to_tensor, batch), training=False)
        if failed:
            raise failed[0]

    def _only_batch(self) -> Any:
        """The batch, where there is only one."""
        batches = iter(self.inputs())
        first = next(batches)
        return first if next(batches, None) is None else None

    def forget(self) -> None:
        """Lets go of what was gathered."""
        self._held.clear()
        self._pivots.clear()

    def gather(self, group: Coupled, reads: Sequence[Read] | None = None) -> list[Gathered]:
        """Z of a group for each of its readers; one row a sample, position and block."""
        reads = self._live(group) if reads is None else reads
        sums = [self.sum(group.group.units) for _ in reads]
        for heard in self._hear([r.reader for r in reads]):
            for read, total in zip(reads, sums, strict=True):
                for tensor in heard[id(read.reader.layer)]:
                    rows = read.reader.rows(tensor)
                    for block in read.index.T:
                        whole = len(block) == rows.shape[1] and bool((np.diff(block) == 1).all())
                        total.add(rows if whole else rows[:, block])
        return sums

    def together(self, group: Coupled) -> Gathered:
        """One Z for a group: its only reader's, or the sum of its readers' Gram matrices, each with trace 1."""
        reads = self._live(group)
        sums = self.gather(group, reads)
        for read, total in zip(reads, sums, strict=True):
            self._held[id(group), id(read.reader)] = total
        return sums[0] if len(sums) == 1 else _summed(group.group.units, sums)

    def fold(self, reader: Reader) -> Fit | None:
        """Folds what is to go from this reader's input into the rows that stay, in place."""
        stays = self.keep[reader.labels]
        if stays.all():
            return None
        groups = [g for g in self.known.groups if any(r.reader is reader for r in g.reads)]
        losing = [g for g in groups if not self.keep[g.labels].all()]
        kernel = np.moveaxis(reader.variable.numpy(), reader.axis, 0)
        flat = kernel.reshape(len(kernel), -1).astype(np.float64)
        made = np.where(stays[:, None], flat, 0.0)
        total = left = 0.0
        rows = 0
        for index, gathered, known in self._parts(reader, losing):
            kept = np.flatnonzero(stays[index[:, 0]])
            fits = known is not None and np.array_equal(known.keep(len(kept)), kept)
            mixed = known.mixture(gathered, len(kept)) if known is not None and fits else mixture(gathered, kept)
            for block in index.T:
                made[block[kept]] = mixed @ flat[block]
            energy = gathered.energy
            total += energy
            left += energy * error(gathered, kept, mixed) ** 2
            rows = max(rows, gathered.rows)
        shape = kernel.shape
        reader.variable.assign(np.moveaxis(made.reshape(shape), 0, reader.axis).astype(kernel.dtype))
        names = tuple(dict.fromkeys(name for g in losing for name in g.group.layers))
        return Fit(
            reader.key, names, len(stays), int(stays.sum()), float(np.sqrt(left / total)) if total else 0.0, rows
        )

    def _parts(self, reader: Reader, losing: list[Coupled]) -> Iterator[tuple[Array, Gathered, Pivots | None]]:
        """The reader's input in parts whose mixtures are fitted apart: a group over its blocks, or all else at once."""
        reads = {id(g): next(r for r in g.reads if r.reader is reader) for g in losing}
        blocks = [g for g in losing if reads[id(g)].index.shape[1] > 1]
        single = [g for g in losing if reads[id(g)].index.shape[1] == 1]
        if single:
            # Other groups, and channels that always stay, may help to make what is removed beside them.
            apart = [reads[id(g)].index.ravel() for g in blocks]
            columns = np.setdiff1d(np.arange(len(reader.labels)), np.concatenate(apart) if apart else [])
            if len(single) > 1 or len(columns) != single[0].group.units:
                sums = self.sum(len(columns))
                for heard in self._hear([reader]):
                    for tensor in heard[id(reader.layer)]:
                        sums.add(reader.rows(tensor)[:, columns])
                yield columns[:, None], sums, None
                single = []
        for group in (*single, *blocks):
            read = reads[id(group)]
            held = self._held.get((id(group), id(reader)))
            gathered = held if held is not None else self.gather(group, [read])[0]
            yield read.index, gathered, self._pivots.get(id(group)) if len(self._live(group)) == 1 else None

    def _live(self, group: Coupled) -> list[Read]:
        return [r for r in group.reads if id(r.reader.layer) in self._runs]

    def _hear(self, readers: list[Reader]) -> Iterable[dict[int, list[Array]]]:
        layers = list({id(r.layer): r.layer for r in readers}.values())  # both directions of one are given the same
        if len(layers) == 1 and id(layers[0]) in self._here:
            return [self._here]
        calls = sum(self._runs[id(layer)][1] for layer in layers)
        return hear(self.model, layers, self.inputs(), calls=calls)

    def _decide(self, group: Coupled, decide: Decide) -> None:
        found = pivots(self.together(group))
        self._pivots[id(group)] = found
        gone = np.setdiff1d(np.arange(group.group.units), found.keep(decide(group, found)))
        components = self.known.parts.of[group.labels[gone]]
        self.keep = self.keep & ~np.isin(self.known.parts.of, components)


def _summed(units: int, sums: Sequence[Gathered]) -> Gathered:
    one = Gram(units)
    for each in sums:
        if each.energy > 0:
            one.include(each.gram() / each.energy)
        one.noise = max(one.noise, each.noise)
        one.rows += each.rows
    return one
