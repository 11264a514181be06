"""What a report is made of, before it is HTML or Markdown."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias


@dataclasses.dataclass(frozen=True)
class Heading:
    """A title; level 1 is the page's."""

    text: str
    level: int = 2


@dataclasses.dataclass(frozen=True)
class Words:
    """A paragraph; `warning` sets it apart."""

    text: str
    warning: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows under a head; the first column is words, the others are numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclasses.dataclass(frozen=True)
class Code:
    """Text to be taken as it is."""

    text: str


@dataclasses.dataclass(frozen=True)
class Series:
    """One line of a plot: its name and its points, not-finite ones left out; marks alone where not `joined`."""

    name: str
    points: tuple[tuple[float, float], ...]
    dashed: bool = False
    joined: bool = True


@dataclasses.dataclass(frozen=True)
class Plot:
    """Lines over one axis, with what the axes say. Markdown leaves it out: every number is in a table too."""

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    percent_x: bool = False
    percent_y: bool = False


Block: TypeAlias = Heading | Words | Table | Code | Plot
