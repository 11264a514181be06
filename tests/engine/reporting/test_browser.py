"""A report in a real browser: it asks for nothing, shows all it holds, and needs no colour and no width to be read.

Skipped where no Chromium is installed (`PRUNE_TUI_BROWSER` names another one).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import msgspec
import pytest

from engine.reporting import write_report
from engine.session import Session

_SPEC = importlib.util.spec_from_file_location("reporting_sessions", Path(__file__).with_name("test_writing.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
_SESSIONS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_SESSIONS)
measured, session = _SESSIONS.measured, _SESSIONS.session
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = os.environ.get("PRUNE_TUI_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lost = msgspec.structs.replace(session(1), pruned={**session(1).pruned, **measured(0.0)})
    lost.pruned["metric"] = {"name": "accuracy", "direction": "max", "value": "nan"}
    failed = Session(run="r", state="failed", words="out of memory", todo="Take less", recipe={"name": "broken"})
    swept = msgspec.structs.replace(
        session(2),
        recipe={**session().recipe, "name": "swept <b>", "prune": {"criterion": "random"}},
        results={"sweep": [{"sparsity": s, "accuracy": 1 - s, "dense": 0.97} for s in (0.0, 0.25, 0.5, 0.75, 0.9)]},
    )
    folder = tmp_path_factory.mktemp("page")
    return write_report([session(0), lost, failed, swept], folder / "report.html")


def browse(page: Path, *words: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    profile = page.parent / "profile"
    # Every name leads nowhere, so that a page that asked for anything would be seen to fail.
    fixed = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}")
    nowhere = ("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0")
    command = [BROWSER, *fixed, *nowhere, *words, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def test_it_is_shown_whole_and_asks_for_nothing(page: Path) -> None:
    told = browse(page, "--dump-dom")
    shown = told.stdout
    # Four runs, three pictures for the overview, three of each run with epochs, one of the sweep.
    assert shown.count("<svg") == 3 + 3 * 3 + 1
    assert shown.count("<table") == shown.count("</table>") > 10
    for said in ("nan", "failed", "out of memory", "<strong>Warning:</strong>", "swept &lt;b&gt;", "prune-tui run"):
        assert said in shown, said
    assert "<script" not in shown
    assert "CONSOLE" not in told.stderr  # neither an error nor a refusal by the page's own policy


@pytest.mark.parametrize("width", [1100, 420])
def test_it_is_painted_at_any_width(page: Path, width: int) -> None:
    picture = page.with_name(f"{width}.png")
    browse(page, f"--screenshot={picture}", f"--window-size={width},1600", "--hide-scrollbars")
    rows = pixels(picture.read_bytes())
    assert len(rows[0]) >= width
    # Text and lines all the way down, black on white in the light scheme that a headless browser has.
    filled = [sum(sum(p) < 300 for p in row) for row in rows]
    assert sum(n > 0 for n in filled) > 400
    assert any(filled[-400:])


def pixels(png: bytes) -> list[list[tuple[int, int, int]]]:
    """The rows of an 8-bit RGB or RGBA picture."""
    at, parts, size, step = 8, b"", (0, 0), 3
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        content = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            size, step = struct.unpack(">II", content[:8]), {2: 3, 6: 4}[content[9]]
        elif kind == b"IDAT":
            parts += content
        at += 12 + length
    raw, (width, height) = zlib.decompress(parts), size
    before, rows = bytearray(width * step), []
    for y in range(height):
        start = y * (width * step + 1)
        how, line = raw[start], bytearray(raw[start + 1 : start + 1 + width * step])
        for i in range(len(line)):
            left = line[i - step] if i >= step else 0
            corner = before[i - step] if i >= step else 0
            line[i] = (line[i] + _predicted(how, left, before[i], corner)) & 255
        rows.append([tuple(line[i : i + 3]) for i in range(0, len(line), step)])
        before = line
    return rows


def _predicted(how: int, left: int, up: int, corner: int) -> int:
    if how == 4:
        guess = left + up - corner
        return min((left, up, corner), key=lambda v: abs(guess - v))
    return (0, left, up, (left + up) // 2)[how]
