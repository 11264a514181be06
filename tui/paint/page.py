"""The page of a preset: what will happen if one presses Enter, what it is, and what came out the last time."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from tui.paint import numbers as n
from tui.paint.lines import Line, clean, length, line, wrap
from tui.shelf import Preset

if TYPE_CHECKING:
    from engine.keeping import Summary

_KEY = re.compile(r"^(\s*(?:- )?)([\w.\-]+)(:)(.*)$")


def words(preset: Preset, last: Summary | None, width: int, *, now: float | None = None) -> list[Line]:
    """The preset in words. A broken one says what is wrong with it, each problem with its place."""
    width = max(20, width - 1)
    title = str(preset.plain.get("title") or preset.name)
    out = _indented(title, width, "strong")
    recipe = preset.recipe
    if recipe is None:
        out += [line(""), line((" This preset cannot run until its file is mended:", "error"))]
        for problem in preset.problems:
            out += _indented(problem, width, "")
        return [
            *out,
            line(""),
            *_indented(f"It is {preset.path}. Mend it there; it is read again when you come back.", width, "quiet"),
        ]
    from engine.sentence import network, sentence

    out += [line(""), *_indented(sentence(recipe), width, "")]
    if recipe.about:
        out += [line(""), *_indented(recipe.about, width, "quiet")]
    out += [line(""), *_indented(network(recipe), width, "quiet")]
    if recipe.sweep:
        points = 1
        for axis in recipe.sweep.values():
            points *= len(axis)
        out += _indented(f"a sweep of {points} runs over {', '.join(recipe.sweep)}", width, "quiet")
    out += [line(""), _enter(last)]
    if last is not None:
        out += _last(last, width, now)
    return out


def _enter(last: Summary | None) -> Line:
    took = f"; last time it took {n.clock(last.updated - last.created)}" if last and last.state == "done" else ""
    return line(" ", ("enter", "key"), (f" runs it here{took}", "strong"))


def _last(last: Summary, width: int, now: float | None) -> list[Line]:
    when = time.localtime(last.created)
    today = time.localtime(now if now is not None else time.time())
    shown = time.strftime("%H:%M" if when[:3] == today[:3] else "%d %b %H:%M", when)
    if last.state != "done":
        return _indented(f"last run {shown}: {last.state}{': ' + last.words if last.words else ''}", width, "warning")
    after = last.validation if last.pruned_metric is None else last.pruned_metric
    said: list[tuple[str, str]] = [
        (f" last run {shown}   ", "quiet"),
        (n.percent(last.sparsity), "pruned"),
        (" gone", "quiet"),
    ]
    if after is not None:
        said += [(f"   {last.metric.replace('_', ' ')} ", "quiet"), (n.metric(after), "accuracy")]
        reached, dense = n.known(after), n.known(last.dense_metric)
        if reached is not None and dense is not None:
            said.append((f" ({n.change(reached - dense)})", "quiet"))
    out: list[Line] = [tuple(said)]
    if length(out[0]) > width:  # the metric below, whole
        out = [tuple(said[:3]), line((" " * 8, ""), *said[3:])]
    more = [
        f"{n.size(last.bytes_packed)} packed" if last.bytes_packed else "",
        f"{n.times(last.speedup)} speed" if last.speedup else "",
    ]
    if any(more):
        out.append(line((" " + "   ".join(filter(None, more)), "quiet")))
    return out


def yaml(text: str) -> list[Line]:
    """A recipe's text, keys apart from values."""
    return [_yaml_line(clean(row)) for row in text.splitlines()]


def _yaml_line(row: str) -> Line:
    if row.lstrip().startswith("#"):
        return line((f" {row}", "quiet"))
    found = _KEY.match(row)
    if not found:
        return line(f" {row}")
    indent, key, colon, value = found.groups()
    return line(f" {indent}", (key, "accuracy"), (colon, "quiet"), value)


def _indented(text: str, width: int, style: str) -> list[Line]:
    return wrap(text, width, style=style, indent=" ")
