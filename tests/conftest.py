"""What every test shares: quiet native logs, two threads, and folders of its own for caches and configuration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes a user's own files; dense models are shared within one session of tests."""
    base = tmp_path_factory.getbasetemp() / "home"
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(base / name.lower()))
    monkeypatch.setenv("PRUNE_TUI_CACHE", str(base / "cache"))
    monkeypatch.delenv("PRUNE_TUI_DATA", raising=False)


@pytest.fixture
def repository() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parent.parent
