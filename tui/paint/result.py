"""What came out: the dense control beside the pruned network, with the measured and the theoretical apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.session import Session
from tui.paint import heatmap, spreads, sweep
from tui.paint import numbers as n
from tui.paint.figures import dig
from tui.paint.lines import Line, left, length, line, right, wrap
from tui.paint.tables import table


def paint(session: Session, width: int) -> list[Line]:
    """The summary; empty as long as nothing was measured."""
    if not (session.pruned or session.results or (session.dense and session.state == "done")):
        return []
    ended = session.pruned or session.state == "done"
    out = [_cells(row, width) for row in _comparison(session)] if ended else []
    out += _certainty(session, width)
    out += _surgery(session, width)
    for note in dict.fromkeys((*session.warnings, *_strings(session.pruned.get("skipped")))):
        out += wrap(f"! {note}", width, style="warning", most=3, indent=" ")
    ordered = sorted(session.results.items(), key=lambda item: item[0] != "sweep")
    for name, value in ordered:
        if name.startswith("histogram") or (name == "shares" and "sensitivity" in session.results):
            continue  # drawn in the layer's own screen, and in the heatmap
        out += [line(""), line((f" {name.replace('_', ' ')}", "heading"))]
        if name == "sweep" and sweep.is_sweep(value):
            out += sweep.table(value, session.metric.name, width)
        elif name == "sensitivity" and heatmap.is_heatmap(value):
            out += heatmap.paint(value, session.results.get("shares"), width)
        elif name == "column_norms" and isinstance(value, Mapping):
            out += spreads.paint(value, width)
        else:
            out += table(value, width)
    if session.files:
        out.append(line(""))
        out += [line((f" {left(name, 16)}", "quiet"), what) for name, what in session.files.items()]
    return out


def _comparison(session: Session) -> list[tuple[str, str, str, str, str]]:
    """Rows of name, dense, pruned, change, style of the pruned number; the first is the head."""
    before, after = session.dense or session.pruned.get("reference") or {}, session.pruned
    out = [("", "dense", "pruned", "change", "heading")]

    def add(
        name: str, path: str, said: Callable[[Any], str], compared: Callable[[float, float], str], style: str = "strong"
    ) -> None:
        old, new = n.known(dig(before, path)), n.known(dig(after, path))
        if old is None and new is None:
            return
        out.append(
            (name, said(old), said(new), compared(old, new) if old is not None and new is not None else "", style)
        )

    add(
        f"test {session.metric.name.replace('_', ' ')}",
        "metric.value",
        n.metric,
        lambda a, b: n.change(b - a),
        "accuracy",
    )
    add("validation", "validation", n.metric, lambda a, b: n.change(b - a))
    add("test top-5", "top5", n.metric, lambda a, b: n.change(b - a))
    add("test loss", "loss", n.loss, lambda a, b: n.change(b - a))
    add("parameters", "counts.parameters", n.count, _fewer)
    add("not zero", "counts.nonzero", n.count, _fewer, "pruned")
    add("size", "counts.bytes_raw", n.size, _smaller)
    add("size packed", "counts.bytes_compressed", n.size, _smaller)
    add("FLOPs", "flops", n.any_number, _fewer)
    add("FLOPs left", "effective_flops", n.any_number, _fewer)
    out += _latency(before, after)
    ideal = n.known(after.get("theoretical_speedup"))
    if ideal is not None:
        out.append(("speed in theory", "", "", n.times(ideal), "quiet"))
    agreement = n.known(dig(after, "comparison.agreement"))
    if agreement is not None:
        out.append(("same answers", "", n.percent(agreement), "", "strong"))
    return out


def _certainty(session: Session, width: int) -> list[Line]:
    """How sure the change is, and which classes paid for it."""
    seen = dig(session.pruned, "comparison.accuracy")
    if not isinstance(seen, Mapping):
        return []
    low, high, samples = (n.known(seen.get(k)) for k in ("low", "high", "samples"))
    if low is None or high is None:
        return []
    inputs = f" ({samples:,.0f} test inputs)" if samples else ""
    out = wrap(f"the change is between {n.change(low)} and {n.change(high)}, with 95 % confidence{inputs}", width,
               style="quiet", indent=" ")  # fmt: skip
    rows = dig(session.pruned, "comparison.classes")
    losses = [
        (change, str(row.get("label")))
        for row in (rows if isinstance(rows, list | tuple) else ())
        if isinstance(row, Mapping) and (change := n.known(dig(row, "recall.difference"))) is not None and change < 0
    ]
    if losses:
        worst = ", ".join(f"class {label} {n.change(change)}" for change, label in sorted(losses)[:4])
        out += wrap(f"who paid: {worst}", width, style="quiet", indent=" ")
    return out


def _latency(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    rows = before.get("latency") or dig(after, "reference.latency") or ()
    old = {r.get("batch_size"): r for r in rows if isinstance(r, Mapping)}
    out = []
    for row in after.get("latency") or ():
        if not isinstance(row, Mapping):
            continue
        first = old.get(row.get("batch_size"), {}).get("median")
        speed = n.known(row.get("speedup"))
        change = f"{n.times(speed)} speed{_between(row)}" if speed is not None else ""
        out.append(
            (
                f"time, batch {row.get('batch_size')}",
                n.milliseconds(first),
                n.milliseconds(row.get("median")),
                change,
                "strong",
            )
        )
    return out


def _between(row: Mapping[str, Any]) -> str:
    """The interval of a speed-up: calls are timed in turns, so it need not be the ratio of those medians."""
    low, high = n.known(row.get("speedup_low")), n.known(row.get("speedup_high"))
    return f" ({low:.1f}-{high:.1f})" if low is not None and high is not None else ""


def _surgery(session: Session, width: int) -> list[Line]:
    surgery = session.surgery
    if surgery is None:
        return []
    out: list[Line] = []
    if surgery.rows:
        rows = [_smaller_layer(row) for row in surgery.rows]
        out += [line(""), line((" layers made smaller", "heading")), *table(rows, width)]
    out += [
        row
        for key, why in surgery.skipped.items()
        for row in wrap(f"{key}: {why}", width, style="quiet", most=2, indent=" ")
    ]
    return out


def _smaller_layer(row: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's row of a surgery with before and after in one column."""
    out = {"layer": row.get("layer", "")}
    for title, key in (("units", "units"), ("parameters", "params"), ("FLOPs", "flops")):
        old, new = row.get(f"{key}_before"), row.get(f"{key}_after")
        out[title] = n.count(new) if old == new else f"{n.count(old)} → {n.count(new)}"
    return out


def _cells(row: tuple[str, str, str, str, str], width: int) -> Line:
    """A row in the width there is; where it is narrow the change is a bare ratio."""
    name, old, new, change, style = row
    narrow = width < 52
    last = 7 if narrow else 21 if width >= 60 else 14
    each = 8 if narrow else 11
    if narrow:  # the unit moves into the name
        change = change.split(" ")[0]
        name = (
            name.removeprefix("test ")
            .replace("time, ", "ms, ")
            .replace("size packed", "packed")
            .replace("speed in ", "")
        )
        old, new = old.removesuffix(" ms"), new.removesuffix(" ms")
    quiet = "heading" if style == "heading" else "quiet"
    if length(((change, ""),)) >= last:  # the interval goes before the number does
        change = change.partition(" (")[0]
    return line(
        (f" {left(name, max(10, width - 2 * each - last - 2))}", quiet),
        (right(old, each), quiet if style == "heading" else ""),
        (right(new, each), style),
        (right(change, last), quiet),
    )


def _fewer(old: float, new: float) -> str:
    return "same" if old == new else n.ratio(old, new) + " less" if new < old else n.ratio(new, old) + " more"


def _smaller(old: float, new: float) -> str:
    return _fewer(old, new).replace("less", "smaller").replace("more", "larger")


def _strings(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{k}: {v}" for k, v in value.items()]
    return [str(v) for v in value] if isinstance(value, list | tuple) else []
