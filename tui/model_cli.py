"""The commands that work on a model file: declared here, done in `tui.commands.models`, imported when one runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tui.cli import _RUNS, FORMATS, _do, main

_FILE, _SHARE, _COUNT = click.Path(path_type=Path), click.FloatRange(0, 1), click.IntRange(1)
_DATA = click.option(
    "--data", metavar="DATA", help="A .npz file, a folder of images, or a data set's name (digits, mnist, ...)."
)
_FORCE = click.option("--force", is_flag=True, help="Write over a file that is there already.")


@main.command(short_help="Remove units of a MODEL physically.")
@click.argument("model", type=_FILE, metavar="RUN|MODEL")
@click.option("-o", "--output", type=_FILE, required=True, help="Where the smaller model goes (.keras).")
@click.option(
    "--sparsity", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Share of the units that goes."
)
@click.option(
    "--criterion",
    default="l2_norm",
    show_default=True,
    help="What a unit is worth: l1_norm, l2_norm, bn_scale, fpgm, column_norm; with --data taylor, apoz, ... as well.",
)
@click.option(
    "--scope",
    type=click.Choice(["layer", "global"]),
    default="layer",
    show_default=True,
    help="Over which units is chosen.",
)
@click.option(
    "--round-to", type=click.IntRange(1), default=1, show_default=True, help="Layers keep a multiple of this many."
)
@click.option("--interpolate", is_flag=True, help="Mend the layers that read, without labels (needs --data).")
@_FORCE
@_DATA
@_RUNS
@click.pass_obj
def shrink(group_runs: Path | None, /, runs: Path | None, **given: Any) -> None:
    """Remove units of a MODEL file, or of a RUN's result, physically, with all that is coupled to them."""
    _do("models", "shrink", runs=runs or group_runs, **given)


@main.command(short_help="Find the smallest MODEL within an accuracy budget.")
@click.argument("model", type=_FILE, metavar="RUN|MODEL")
@click.option("--data", metavar="DATA", required=True, help="A .npz file, a folder of images, or a data set's name.")
@click.option(
    "--max-drop", type=click.FloatRange(0, 1), default=0.01, show_default=True, help="Accuracy that may be lost."
)
@click.option(
    "--for",
    "aim",
    type=click.Choice(["size", "latency", "flops"]),
    default="size",
    show_default=True,
    help="What is to be small.",
)
@click.option(
    "--epochs", type=click.IntRange(0), default=3, show_default=True, help="Epochs of fine-tuning in each trial."
)
@click.option("-o", "--output", type=_FILE, help="Also copy the result here (.keras).")
@_FORCE
@_RUNS
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
@click.pass_obj
def auto(group_runs: Path | None, /, runs: Path | None, **given: Any) -> None:
    """Find the smallest model within an accuracy budget, for a trained MODEL of yours or a RUN's result."""
    _do("models", "auto", runs=runs or group_runs, **given)


@main.command(short_help="Measure a MODEL: accuracy, size, FLOPs, time.")
@click.argument("model", type=_FILE, metavar="RUN|MODEL")
@click.option("--against", type=_FILE, metavar="RUN|MODEL", help="Another model, timed in turns with it.")
@_DATA
@click.option(
    "--batch",
    "batches",
    type=click.IntRange(1),
    multiple=True,
    default=(1, 32, 256),
    show_default=True,
    help="A batch size to time; may be given again.",
)
@click.option("--runtimes", is_flag=True, help="Also time it in every runtime that is here.")
@_RUNS
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def measure(group_runs: Path | None, /, runs: Path | None, **given: Any) -> None:
    """Measure a MODEL file or a RUN's result: size, sparsity, FLOPs, time of a compiled call; accuracy given data."""
    _do("models", "measure", runs=runs or group_runs, **given)


@main.command(short_help="Write a RUN's result, or a MODEL, in other formats.")
@click.argument("source", metavar="RUN|MODEL")
@click.option("--format", "formats", multiple=True, required=True, help=f"One of {FORMATS}; may be given again.")
@click.option("-o", "--output", type=_FILE, help="File or folder; default: the run's exports, or beside the model.")
@_DATA
@_FORCE
@_RUNS
@click.pass_obj
def export(group_runs: Path | None, /, runs: Path | None, **given: Any) -> None:
    """Write a RUN's result, or a MODEL file, in other formats; each is loaded again and compared before it counts."""
    _do("models", "export", runs=runs or group_runs, **given)


@main.command(short_help="Make an ordinary Keras file of a PACKED one.")
@click.argument("packed", type=_FILE)
@click.option("-o", "--output", type=_FILE, help="Default: the same name with .keras.")
@_FORCE
def unpack(**given: Any) -> None:
    """Make an ordinary Keras file of a PACKED one, bit by bit the same weights."""
    _do("models", "unpack", **given)
