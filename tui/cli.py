"""The `prune-tui` command. What `--help` and `--version` need is here; each command's work is imported when it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from engine import __version__
from tui.ending import DONE, UNREAD, in_words, unread

_RUNS = click.option(
    "--runs",
    type=click.Path(path_type=Path),
    help="Folder of runs (default: PRUNE_TUI_RUNS, or the user's data folder).",
)
_SET = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, as in prune.target.sparsity=0.95."
)


FORMATS = (
    "keras, packed, litert, litert_float16, litert_int8, litert_int8_full, litert_sparse, litert_sparse_float16, onnx, "
    "savedmodel"
)
_HINTS = {
    "PRESET": "`prune-tui presets` lists them; a recipe file will do as well.",
    "RUN": "`prune-tui sessions` lists them; `last` is the newest.",
    "RUN...": "`prune-tui sessions` lists them; `last` is the newest.",
    "RUN|MODEL": "It is a run (`last` is the newest) or a .keras file.",
    "MODEL": "It is a file saved with model.save('NAME.keras').",
    "PACKED": "It is a file that `prune-tui export --format packed` wrote.",
    "--format": f"It is one of {FORMATS}.",
    "--output": "Name the file to be written.",
    "--data": "It is a .npz file, a folder of images, or a data set's name (digits, mnist, ...).",
}


class _Group(click.Group):
    """Errors for people: one sentence on standard error and exit code 2, never a traceback."""

    def main(self, *args: Any, **kw: Any) -> Any:
        with in_words():
            return super().main(*args, **kw)

    def invoke(self, ctx: click.Context) -> Any:
        """Says of an argument that is missing where to find what could be given."""
        try:
            return super().invoke(ctx)
        except click.MissingParameter as error:
            names = [error.param.human_readable_name, *error.param.opts] if error.param is not None else []
            hint = next((_HINTS[name] for name in names if name in _HINTS), "")
            if hint:
                raise click.UsageError(f"{error.format_message()} {hint}", ctx=error.ctx) from None
            raise


def _do(module: str, function: str, /, **given: Any) -> None:
    """Calls a command's function in its own module, and leaves with its exit code."""
    act: Callable[..., int | None] = getattr(import_module(f"tui.commands.{module}"), function)
    try:
        code = act(**given)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as end:
        if not unread(end):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer must go somewhere
        code = UNREAD
    sys.exit(code or DONE)


@click.group(cls=_Group, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="prune-tui %(version)s")
@_RUNS
@click.pass_context
def main(context: click.Context, runs: Path | None) -> None:
    """Make neural networks smaller and faster, and see live what that costs.

    Without a command the app opens: choose a preset with the arrow keys, press Enter.
    """
    context.obj = runs
    if context.invoked_subcommand is None:
        _do("app", "open_app", runs=runs)


@main.command()
@click.argument("preset")
@_SET
@_RUNS
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
@click.option("--detach", is_flag=True, help="Start the run and return; follow it with `prune-tui attach`.")
@click.pass_obj
def run(group_runs: Path | None, /, preset: str, overrides: tuple[str, ...], runs: Path | None, **flags: bool) -> None:
    """Run a PRESET (its name, or a recipe file) without a screen.

    The last line names the session's file. Exit codes: 0 done, 1 failed, 2 bad input, 130 cancelled.
    """
    _do("run", "run", preset=preset, overrides=overrides, runs=runs or group_runs, **flags)


@main.command(short_help="Go on with a RUN that was stopped or killed.")
@click.argument("name", metavar="RUN")
@_RUNS
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
@click.option("--detach", is_flag=True, help="Start the run and return.")
@click.pass_obj
def resume(group_runs: Path | None, /, name: str, runs: Path | None, **flags: bool) -> None:
    """Go on with a RUN that was stopped or killed, from its last checkpoint."""
    _do("run", "resume", name=name, runs=runs or group_runs, **flags)


@main.command()
@click.argument("name", metavar="RUN")
@_RUNS
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
@click.pass_obj
def attach(group_runs: Path | None, /, name: str, runs: Path | None, *, as_json: bool) -> None:
    """Follow a RUN that is going on, or replay one that has ended. Ctrl-C leaves it running."""
    _do("run", "attach", name=name, runs=runs or group_runs, as_json=as_json)


@main.command()
@click.argument("name", metavar="RUN")
@_RUNS
@click.pass_obj
def stop(group_runs: Path | None, /, name: str, runs: Path | None) -> None:
    """Stop a RUN that is going on; what there is is saved."""
    _do("run", "stop", name=name, runs=runs or group_runs)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def presets(*, as_json: bool) -> None:
    """List the presets: those that ship and your own."""
    _do("listing", "presets", as_json=as_json)


@main.command()
@click.option("-n", "most", type=click.IntRange(1), help="How many to list (default: 40; all with --json).")
@_RUNS
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def sessions(group_runs: Path | None, /, runs: Path | None, **given: Any) -> None:
    """List what was run, newest first."""
    _do("listing", "sessions", runs=runs or group_runs, **given)


@main.command(short_help="Show the session of a RUN, dense beside pruned.")
@click.argument("name", metavar="RUN")
@_RUNS
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the session's YAML.")
@click.pass_obj
def show(group_runs: Path | None, /, name: str, runs: Path | None, *, as_yaml: bool) -> None:
    """Show the session of a RUN (its name, the end of it, `last`, or a folder)."""
    _do("showing", "show", name=name, runs=runs or group_runs, as_yaml=as_yaml)


@main.command(short_help="Print the JSON Schema of recipes, or a PRESET with all defaults.")
@click.argument("preset", required=False)
@_SET
def schema(preset: str | None, overrides: tuple[str, ...]) -> None:
    """Print the JSON Schema of recipes; with a PRESET, that recipe as resolved, every default filled in."""
    _do("listing", "schema", preset=preset, overrides=overrides)


@main.command(short_help="Say what this machine has and what is missing.")
def doctor() -> None:
    """Say what this machine has: versions, devices, threads, folders, data sets, and what is missing."""
    _do("doctor", "doctor")


@main.command(short_help="Copy bytes to and from the socket of a RUN (for ssh).")
@click.argument("name", metavar="RUN")
@_RUNS
@click.pass_obj
def relay(group_runs: Path | None, /, name: str, runs: Path | None) -> None:
    """Copy bytes between standard input and output and the socket of a RUN (for ssh)."""
    _do("run", "relay", name=name, runs=runs or group_runs)


@main.command(short_help="Write a page (.html or .md) about a RUN, or about many.")
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A .html or .md file.")
@click.option("--title", default="", help="Of the page.")
@_RUNS
@click.pass_obj
def report(group_runs: Path | None, /, runs: Path | None, **given: Any) -> None:
    """Write one self-contained page about a RUN, or about many beside each other."""
    _do("showing", "report", runs=runs or group_runs, **given)


@main.command(short_help="Print the completion script of a SHELL.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a SHELL: `eval "$(prune-tui completion bash)"`."""
    _do("listing", "completion", shell=shell)


from tui import model_cli  # noqa: E402, F401 - the commands on model files are declared there, on the group above
