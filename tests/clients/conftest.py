"""The runs of clients take minutes and need npm: only `-m clients` collects them."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    slow = collection_path.name in (
        "test_runs.py",
        "test_inspector.py",
        "test_hub_run.py",
        "test_sessions.py",
    )
    return True if slow and config.option.markexpr != "clients" else None
