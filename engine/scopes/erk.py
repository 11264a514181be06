"""ERK: Erdős–Rényi kernel densities, and the densities of the other scopes that fix them in advance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from engine.errors import PruneError
from engine.layout import Array
from engine.registry import register
from engine.scopes.base import Pieces, Scope
from engine.scopes.selecting import exact, keep_highest, kept


@register("scope", "erk")
@dataclass(frozen=True)
class Erk(Scope):
    """Density of a kernel `eps * sum(dims) / prod(dims)`, at most 1, eps solved for the total (Evci et al. 2020)."""

    def select(self, pieces: Mapping[str, Pieces], sparsity: Fraction) -> dict[str, Array]:
        """A threshold a kernel; the counts add up to the exact total."""
        shares = erk([p.shape for p in pieces.values()], [p.scores.size for p in pieces.values()], sparsity)
        counts = whole(shares, [p.scores.size for p in pieces.values()], sparsity)
        return {k: keep_highest([p.scores], n)[0] for (k, p), n in zip(pieces.items(), counts, strict=True)}


def densities(shapes: Sequence[Sequence[int]], sparsity: float, scope: str = "erk") -> list[float]:
    """The density that a scope gives each kernel in advance.

    Args:
        shapes: kernel shapes, all dims (`(in, out)` for Dense).
        sparsity: the share of all weights that goes.
        scope: `erk`, or `layer` (the same everywhere); the others depend on the scores.

    Raises:
        PruneError: the scope's densities depend on the scores, or the sparsity is not from 0 to 1.
    """
    share = exact(sparsity)
    if scope == "layer":
        return [float(1 - share)] * len(shapes)
    if scope != "erk":
        raise PruneError(f"the densities of scope {scope} depend on the scores", todo="Use erk or layer, or choose()")
    return [float(d) for d in erk(shapes, [math.prod(s) for s in shapes], share)]


def erk(shapes: Sequence[Sequence[int]], sizes: Sequence[int], sparsity: Fraction) -> list[Fraction]:
    """Real-valued densities, exactly: their sum over `sizes` is `(1 - sparsity) * sum(sizes)`."""
    raw = [Fraction(sum(s), math.prod(s)) for s in shapes]
    budget = (1 - sparsity) * sum(sizes)
    dense: set[int] = set()
    while len(dense) < len(raw):
        open_ = [i for i in range(len(raw)) if i not in dense]
        eps = (budget - sum(sizes[i] for i in dense)) / sum(raw[i] * sizes[i] for i in open_)
        full = {i for i in open_ if eps * raw[i] > 1}
        if not full:
            return [Fraction(1) if i in dense else eps * raw[i] for i in range(len(raw))]
        # Capping a layer leaves more for the others, so eps only rises: what is above 1 now stays above 1.
        dense |= full
    return [Fraction(1)] * len(raw)


def whole(shares: Sequence[Fraction], sizes: Sequence[int], sparsity: Fraction) -> list[int]:
    """Densities as whole counts whose total is exact: the largest remainders are rounded up."""
    wanted = [d * n for d, n in zip(shares, sizes, strict=True)]
    counts = [math.floor(w) for w in wanted]
    missing = kept(sum(sizes), sparsity) - sum(counts)
    order = sorted(range(len(sizes)), key=lambda i: (counts[i] - wanted[i], i))
    for i in [i for i in order if counts[i] < sizes[i]][:missing]:
        counts[i] += 1
    return counts
