"""The four numbers of a run: how much is gone, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.session import Session
from tui.paint import numbers as n
from tui.paint.lines import Line, columns, cut, line
from tui.paint.marks import tall

_DECIDES = {  # who says how far, where no sparsity was asked for
    "pq_index": "the PQ Index decides",
    "column_norm": "the norms decide",
    "accuracy_drop": "accuracy decides",
    "epsilon": "the error decides",
    "flops": "until the FLOPs fit",
    "size": "until the size fits",
    "latency": "until the time fits",
}


@dataclass(frozen=True)
class Figure:
    """One number with its title above and what to compare it with below."""

    title: str
    kind: str
    value: str
    below: str
    more: str
    style: str


def dig(values: Mapping[str, Any], path: str) -> Any:
    """A value deep in a measurement, `counts.bytes_raw`; None where there is none."""
    found: Any = values
    for step in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found


def dense_metric(session: Session) -> float | None:
    """The dense control's validation metric: as it was kept, else that of its last epoch."""
    kept = n.known(session.dense.get("validation"))
    return kept if kept is not None or not session.control else n.known(session.control[-1].validation)


def speedup(session: Session) -> float | None:
    """The measured speed-up at the largest batch size."""
    rows = [r for r in session.pruned.get("latency") or () if isinstance(r, Mapping) and n.known(r.get("speedup"))]
    return n.known(max(rows, key=lambda r: n.known(r.get("batch_size")) or 0)["speedup"]) if rows else None


def theory(session: Session) -> float | None:
    """The speed-up that a perfect runtime could have."""
    told = n.known(session.pruned.get("theoretical_speedup"))
    counts = session.counts
    return told or (counts.weights / counts.weights_kept if counts.weights_kept else None)


def figures(session: Session) -> tuple[Figure, ...]:
    """Sparsity, accuracy, size, speed; of a sweep that goes on those of its newest point."""
    rows = session.results.get("sweep")
    if rows and not session.pruned and not session.epochs and isinstance(rows[-1], Mapping):
        return _newest_point(session, rows[-1])
    return (_sparsity(session), _accuracy(session), _size(session), _speed(session))


def _newest_point(session: Session, row: Mapping[str, Any]) -> tuple[Figure, ...]:
    metric = session.metric.name
    now, dense = n.known(row.get(metric)), n.known(row.get("dense"))
    speeds = [n.known(v) for k, v in row.items() if k.startswith("speed-up")]
    asked = row.get("asked")
    kind = str(row.get("granularity") or "newest point")
    return (
        Figure("SPARSITY", kind, n.percent(row.get("sparsity")), f"of {n.share(asked)}" if asked is not None else "",
               "", "pruned"),
        Figure(metric.replace("_", " ").upper(), "test", n.metric(now),
               n.change(now - dense) if now is not None and dense is not None else "",
               f"dense {n.metric(dense)}" if dense is not None else "", "accuracy"),
        Figure("SIZE", "packed", n.size(row.get("bytes")), "", "", "strong"),
        Figure("SPEED", "measured", n.times(next((v for v in reversed(speeds) if v is not None), None)), "", "",
               "strong"),
    )  # fmt: skip


def _sparsity(session: Session) -> Figure:
    gone = session.sparsity
    if session.progress is not None and session.progress.sparsity:
        gone = session.progress.sparsity
    value = n.percent(gone) if session.counts.weights or gone else n.DASH
    what = "of the units" if session.denominator == "units" else "of the weights"
    if session.target_value is not None:
        return Figure("SPARSITY", session.denominator, value, f"of {n.share(session.target_value)}", "", "pruned")
    goal = _DECIDES.get(session.target, "")
    return Figure("SPARSITY", session.denominator, value, goal or what, "", "pruned")


def _accuracy(session: Session) -> Figure:
    rows = session.epochs or session.control
    now, dense = n.known(session.pruned.get("validation")), dense_metric(session)
    if now is None and rows:
        now = n.known(rows[-1].validation)
    sub, more = "", ""
    if dense is not None:
        more = f"dense {n.metric(dense)}"
        sub = n.change(now - dense) if now is not None and session.epochs else ""
    name = session.metric.name.replace("_", " ")
    return Figure(name.upper(), "validation", n.metric(now), sub or more, more if sub else "", "accuracy")


def _size(session: Session) -> Figure:
    packed = n.known(dig(session.pruned, "counts.bytes_compressed"))
    # Packed beside packed: what packing alone gains is not pruning's to claim.
    whole = n.known(dig(session.dense, "counts.bytes_compressed")) or n.known(
        dig(session.pruned, "reference.counts.bytes_compressed")
    )
    if packed is not None:
        below = f"of {n.size(whole)}" if whole else ""
        return Figure(
            "SIZE", "packed", n.size(packed), below, f"{n.ratio(whole, packed)} smaller" if whole else "", "strong"
        )
    counts = session.counts
    if not counts.parameters:
        return Figure("PARAMETERS", "", n.DASH, "", "", "strong")
    fewer = n.ratio(counts.parameters, counts.parameters_kept)
    return Figure(
        "PARAMETERS",
        "left",
        n.count(counts.parameters_kept),
        f"of {n.count(counts.parameters)}",
        f"{fewer} fewer",
        "strong",
    )


def _speed(session: Session) -> Figure:
    measured, ideal = speedup(session), theory(session)
    in_theory = f"{n.times(ideal)} in theory" if ideal and session.counts.weights else ""
    if measured is None:
        return Figure("SPEED", "" if session.finished else "at the end", n.DASH, in_theory, "", "strong")
    return Figure("SPEED", "measured", n.times(measured), in_theory, "", "strong")


def paint(session: Session, width: int, *, rows: int) -> list[Line]:
    """The figures in four columns.

    Args:
        session: what is known.
        width: cells.
        rows: 6 for tall digits, 4 with two lines below, 3 with one, 2 for title and value alone.
    """
    each = width // 4
    told = figures(session)

    def row(*cells: Line) -> Line:
        return columns([(cut((("  " if each > 20 else " ", ""), *cell), each - 1), each - 1) for cell in cells])

    titles = row(
        *(line((f.title, "heading"), (f" {f.kind}" if len(f.title + f.kind) < each - 2 else "", "quiet")) for f in told)
    )
    if rows >= 6:
        digits = [tall(f.value.replace(" %", "%")) for f in told]
        values = [row(*(((d[i], f.style),) for d, f in zip(digits, told, strict=True))) for i in range(3)]
        beside = row(*(((f"{f.below}   {f.more}" if f.more else f.below, "quiet"),) for f in told))
        return [titles, *values, beside]
    strong = row(*(((f.value.replace(" %", "%") if each < 14 else f.value, f.style),) for f in told))
    out = [titles, strong]
    if rows >= 3:
        out.append(row(*(((f.below, "quiet"),) for f in told)))
    if rows >= 4:
        out.append(row(*(((f.more, "quiet"),) for f in told)))
    return out
