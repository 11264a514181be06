"""`presets`, `sessions`, `schema` and `completion`: what there is, as a table or as JSON."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from engine.errors import PruneError, RecipeError

MOST = 40
"""So many sessions are listed unless another number is asked for: what one looks for is mostly among them."""


def presets(*, as_json: bool) -> int:
    """Prints every preset; one that is broken is listed with its first problem."""
    from engine.presets import FAMILIES, paths
    from engine.recipe import load_recipe
    from engine.sentence import goal

    rows = []
    for name, path in paths().items():
        try:
            recipe = load_recipe(path)
            rows.append(
                {
                    "name": name,
                    "family": recipe.family,
                    "target": goal(recipe),
                    "title": recipe.title,
                    "file": str(path),
                }
            )
        except RecipeError as error:
            rows.append({"name": name, "family": "broken", "target": "", "title": error.problems[0], "file": str(path)})
    rows.sort(key=lambda r: FAMILIES.index(r["family"]) if r["family"] in FAMILIES else len(FAMILIES))
    return _print(rows, ("name", "family", "target", "title"), as_json=as_json)


def sessions(*, runs: Path | None, as_json: bool, most: int | None = None) -> int:
    """Prints runs, newest first: a screenful of a person's, or all of them as JSON."""
    from engine import folders

    place = folders.runs_folder(runs)
    if runs is not None and not place.is_dir():
        raise PruneError("there is no such folder", where=str(place), todo="Name a folder of runs with --runs DIR")
    every = folders.listed(place)
    found = every[: (len(every) if as_json else MOST) if most is None else most]
    rows = [
        {
            "run": Path(item.folder).name,
            "state": item.state,
            "sparsity": f"{item.summary.sparsity:.1%}",
            "dense": _short(item.summary.dense_metric),
            "pruned": _short(item.summary.pruned_metric),
            "speed": "" if item.summary.speedup is None else f"{item.summary.speedup:.2f}x",
            "started": time.strftime("%Y-%m-%d %H:%M", time.localtime(item.summary.created)),
        }
        if not as_json
        else {"folder": str(item.folder), "state": item.state, **msgspec.to_builtins(item.summary)}
        for item in found
    ]
    if not rows and not as_json:
        print(f"Nothing was run yet in {place}. Start with: prune-tui run gradual-global")  # noqa: T201
        return 0
    code = _print(rows, tuple(rows[0]) if rows else (), as_json=as_json)
    if len(every) > len(found) and not as_json:
        print(f"{len(every) - len(found):,} earlier ones are not shown: -n {len(every)} shows all")  # noqa: T201
    return code


def schema(*, preset: str | None, overrides: tuple[str, ...]) -> int:
    """Prints the JSON Schema, or a recipe as resolved."""
    if preset is None:
        from engine.recipe_schema import schema as made

        print(json.dumps(made(), indent=1))  # noqa: T201 - a command's output
        return 0
    from engine.recipe import load_recipe, to_yaml
    from engine.recipe_reading import parse_override

    recipe = load_recipe(preset, overrides=dict(parse_override(text) for text in overrides))
    print(to_yaml(recipe), end="")  # noqa: T201 - a command's output
    return 0


def completion(*, shell: str) -> int:
    """Prints a shell's completion script."""
    from click.shell_completion import get_completion_class

    from tui.cli import main

    found = get_completion_class(shell)
    assert found is not None
    print(found(main, {}, "prune-tui", "_PRUNE_TUI_COMPLETE").source())  # noqa: T201 - a command's output
    return 0


def _short(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else str(value or "")


def _print(rows: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(rows, indent=1))  # noqa: T201 - a command's output
        return 0
    widths = {c: max(len(c), *(len(str(row[c])) for row in rows)) for c in columns}
    wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else 200
    if "started" in columns and sum(widths.values()) + 2 * (len(columns) - 1) > wide:
        columns = tuple(c for c in columns if c != "started")  # a run's name begins with it, and must not be cut
    for row in ({c: c for c in columns}, *rows):
        print("  ".join(f"{row[c]!s:<{widths[c]}}" for c in columns).rstrip())  # noqa: T201 - a command's output
    return 0
