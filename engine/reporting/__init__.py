"""Reports of sessions: one self-contained page, from what the session file holds and nothing else."""

from __future__ import annotations

from engine.reporting.writing import report, write_report

__all__ = ["report", "write_report"]
