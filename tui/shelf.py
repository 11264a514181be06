"""The presets as the list shows them. A preset that is broken is an entry like any other, with its errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import PruneError, RecipeError
from engine.presets import FAMILIES
from engine.recipe import Recipe

if TYPE_CHECKING:
    from engine.keeping import Summary

OWN = "Your own"
SHARES = {"accuracy_drop": "drop ", "sparsity": "", "flops": "flops ", "size": "size ", "latency": "latency "}
"""How a target that is a share is told: `90 %`, `flops 25 %`."""


@dataclass
class Preset:
    """One recipe file."""

    name: str
    path: Path
    own: bool = False

    @cached_property
    def text(self) -> str:
        """The file as it is."""
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            return f"# {error.strerror or error}\n"

    @cached_property
    def plain(self) -> Mapping[str, Any]:
        """Its keys and values, not checked; empty where it is not YAML."""
        from engine.yaml12 import parse

        try:
            value = parse(self.text, self.path.name).value
        except PruneError:
            return {}
        return value if isinstance(value, dict) else {}

    @cached_property
    def _checked(self) -> tuple[Recipe | None, tuple[str, ...]]:
        from engine.recipe import load_recipe

        try:
            return load_recipe(self.path), ()
        except RecipeError as error:
            return None, tuple(p.replace(str(self.path), self.path.name) for p in error.problems)
        except PruneError as error:
            return None, (str(error),)

    @property
    def checked(self) -> bool:
        """Whether it was held against the catalog already, so that the list can say that it is broken."""
        return "_checked" in self.__dict__

    @property
    def recipe(self) -> Recipe | None:
        """The recipe, checked against the catalog on first use; None where it is broken."""
        return self._checked[0]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with it, one line each."""
        return self._checked[1]

    @property
    def family(self) -> str:
        """Its heading in the list."""
        return OWN if self.own else str(self.plain.get("family") or "Presets")

    @property
    def goal(self) -> str:
        """Its target in a word, from the file alone: the list must not wait for the catalog."""
        prune = self.plain.get("prune")
        if not self.plain or (self.checked and self.recipe is None):
            return "broken"
        if not isinstance(prune, Mapping):
            return "dense"
        grain, target = prune.get("granularity"), prune.get("target")
        if isinstance(grain, str) and ":" in grain and grain[0].isdigit():
            return grain
        if isinstance(self.plain.get("sweep"), Mapping):
            return "sweep"
        for name, word in SHARES.items():
            share = target.get(name) if isinstance(target, Mapping) else None
            if isinstance(share, int | float) and not isinstance(share, bool):
                return f"{word}{100 * share:.4g} %"
        return "80 %" if target is None or target == "sparsity" else "auto"

    def matches(self, words: str) -> bool:
        """Whether every word that was typed is somewhere in its name, title, family or parts."""
        prune = self.plain.get("prune")
        text = f"{self.name} {self.plain.get('title', '')} {self.family} {prune}".lower()
        return all(word in text for word in words.lower().split())


class Shelf:
    """All presets, by family. A file that has not changed is not read again.

    Args:
        paths: where the presets are, by name.
        shipped: the folder of those that ship; all others are the user's own.
    """

    def __init__(self, paths: Callable[[], Mapping[str, Path]], shipped: Path) -> None:
        self._paths, self._shipped = paths, shipped
        self._known: dict[Path, tuple[int, Preset]] = {}

    def read(self) -> list[Preset]:
        """The presets; families in their order, then as files mention them, the user's own last."""
        found = [self._preset(name, path) for name, path in self._paths().items()]
        order = {name.lower(): at for at, name in enumerate(FAMILIES)}
        met: dict[str, int] = {}
        for preset in found:
            met.setdefault(preset.family, order.get(preset.family.lower(), len(order) + len(met)))
        return sorted(found, key=lambda p: (p.own, met[p.family]))

    def _preset(self, name: str, path: Path) -> Preset:
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            changed = 0
        known = self._known.get(path)
        if known is None or known[0] != changed:
            known = self._known[path] = (changed, Preset(name, path, own=path.parent != self._shipped))
        return known[1]


class History:
    """The last run of each preset, from the short summaries in the folders of runs; read when asked for."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self._changed, self._names = -1, [""]
        self._alike: dict[str, tuple[Any, Any]] = {}

    def last(self, name: str) -> Summary | None:
        """The summary of the newest run of a recipe of this name, or None."""
        import msgspec

        from engine.keeping import SUMMARY, Summary

        for folder in [f for f in self._folders() if name in f][:8]:
            try:
                summary = msgspec.json.decode((self.runs / folder / SUMMARY).read_bytes(), type=Summary)
            except (OSError, msgspec.DecodeError):
                continue
            if summary.name == name:
                return summary
        return None

    def newest(self, *, most: int = 8, going: bool = False) -> Path | None:
        """The newest run among the last `most`; with `going` the newest that still goes on, left by an earlier app."""
        from engine.folders import is_run
        from engine.journal import held

        for folder in (self.runs / name for name in self._folders()[:most]):
            if held(folder) if going else is_run(folder):
                return folder
        return None

    def alike(self, recipe: Recipe, *, most: int = 40) -> Summary | None:
        """The newest finished run of the same network on the same data, among the last `most`; None where none."""
        import msgspec

        from engine.keeping import SUMMARY, Summary
        from engine.recipe import to_plain

        plain = to_plain(recipe)
        wanted = (plain["data"], plain["model"])
        for folder in self._folders()[:most]:
            if self._data_and_model(folder) == wanted:
                try:
                    summary = msgspec.json.decode((self.runs / folder / SUMMARY).read_bytes(), type=Summary)
                except (OSError, msgspec.DecodeError):
                    continue
                if summary.state == "done" and summary.epochs:
                    return summary
        return None

    def _data_and_model(self, folder: str) -> tuple[Any, Any]:
        """What a run was made with, from its recipe; read once, since it does not change."""
        if folder not in self._alike:
            from engine.folders import RECIPE
            from engine.yaml12 import parse

            try:
                plain = parse((self.runs / folder / RECIPE).read_text(encoding="utf-8")).value
            except (OSError, UnicodeDecodeError, PruneError):
                plain = None
            plain = plain if isinstance(plain, Mapping) else {}
            self._alike[folder] = (plain.get("data"), plain.get("model"))
        return self._alike[folder]

    def _folders(self) -> list[str]:
        """Names, newest first; listed again when one came or went."""
        try:
            changed = self.runs.stat().st_mtime_ns
            if changed != self._changed:
                self._changed, self._names = changed, sorted(os.listdir(self.runs), reverse=True)
        except OSError:
            return []
        return self._names
