"""The suite comes from npm (up to 240 MB, with its Node): only `-m conformance` collects its runs."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    runs = collection_path.name == "test_conformance.py"
    return True if runs and config.option.markexpr != "conformance" else None
