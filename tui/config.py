"""What the user set (theme, keys) and what the app remembers by itself. A broken file is said, never fatal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine.errors import PruneError
from tui import keys, theme

NOTIFY = ("auto", "bell", "off")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The settings.

    Attributes:
        theme: the name of a theme, ours or one of Textual's.
        keys: other keys, by the names of `tui.keys`, as in `{run.stop: X}`.
        notify: when a run ends: `auto` (a desktop notification where there is a way, else the bell), `bell`, `off`.
        problems: what was wrong with the file, in words.
    """

    theme: str = theme.DEFAULT
    keys: dict[str, str] = {}
    notify: Literal["auto", "bell", "off"] = "auto"
    problems: tuple[str, ...] = ()


def config_file() -> Path:
    """Where the settings are."""
    from platformdirs import user_config_path

    return user_config_path("prune-tui") / "config.yaml"


def state_file() -> Path:
    """Where the app keeps what it remembers."""
    from platformdirs import user_state_path

    return user_state_path("prune-tui") / "state.json"


def load(path: Path | None = None) -> Config:
    """The settings; without a file, the defaults."""
    path = path or config_file()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        return Config(problems=(f"{path}: cannot be read: {error}",))
    from engine.yaml12 import parse

    try:
        value = parse(text, path.name).value or {}
    except PruneError as error:
        return Config(problems=(str(error),))
    if not isinstance(value, Mapping):
        return Config(problems=(f"{path.name}: settings are a mapping (theme, keys, notify)",))
    return _checked(value, path.name)


def _checked(value: Mapping[str, Any], name: str) -> Config:
    problems = [
        f"{name}: unknown setting {k!r}; known are theme, keys, notify"
        for k in value
        if k not in ("theme", "keys", "notify")
    ]
    wanted = value.get("keys") or {}
    if not isinstance(wanted, Mapping):
        problems.append(f"{name}: keys is a mapping from names to keys, as in `run.stop: X`")
        wanted = {}
    known = {k.id for k in keys.KEYS}
    keymap = {str(k): str(v) for k, v in wanted.items()}
    problems += [f"{name}: {message}" for message in keys.clashes(keymap)]
    notify = value.get("notify", "auto")
    if isinstance(notify, bool):
        notify = "auto" if notify else "off"
    if notify not in NOTIFY:
        problems.append(f"{name}: notify is one of {', '.join(NOTIFY)}, not {notify!r}")
        notify = "auto"
    return Config(
        theme=str(value.get("theme", theme.DEFAULT)),
        keys={k: v for k, v in keymap.items() if k in known},
        notify=notify,
        problems=tuple(problems),
    )


def recall(path: Path | None = None) -> dict[str, Any]:
    """What was remembered: the last preset and theme."""
    try:
        value = msgspec.json.decode((path or state_file()).read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def remember(values: Mapping[str, Any], path: Path | None = None) -> None:
    """Keeps this for the next time; where it cannot be written, nothing is lost but that."""
    from engine.files import write_atomically

    try:
        write_atomically(path or state_file(), msgspec.json.encode(dict(values)))
    except OSError:
        return
