"""Records, and waiting for a writer."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from adapters.canonical import Usage
from hub.settings.usage import UsageSettings
from hub.usage.records import ToolRecord
from hub.usage.writer import Pace
from routing.usage import Record

NOW = 1_764_000_000.0
"""Some time in November 2025."""
QUICK = Pace(gather=0.01, batch=50, backlog=100, retry=0.02, longest_retry=0.05, prune=3600)
SECONDS = 20


def chat(number: int = 0, **more: Any) -> Record:
    given: dict[str, Any] = {
        "request_id": f"r{number}",
        "client_protocol": "openai",
        "operation": "chat",
        "status": 200,
        "group": "g",
        "provider": "up",
        "model": "m",
        "target_protocol": "anthropic",
        "usage": Usage(1000, 100, 400, 50, 30),
        "time": NOW + number,
        "caller": "laptop",
        "client": "claude-cli",
        "first_byte": 0.25,
        "duration": 1.5,
        "attempts": 2,
        "cost": 0.01,
        "losses": ("seed", "logprobs"),
    }
    return Record(**{**given, **more})


def tool(number: int = 0, **more: Any) -> ToolRecord:
    given: dict[str, Any] = {
        "time": NOW + number,
        "caller": "laptop",
        "client": "an-ide",
        "profile": "p",
        "server": "files",
        "tool": "read",
        "duration": 0.5,
    }
    return ToolRecord(**{**given, **more})


def settings(file: Path, **more: Any) -> UsageSettings:
    return database_settings(f"sqlite:///{file}", **more)


def database_settings(url: str, **more: Any) -> UsageSettings:
    """Samples are old: nothing is to go for its age."""
    return UsageSettings.model_validate({"url": url, "keep": "100000d", **more})


def rows(file: Path, what: str = "*") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return connection.execute(f"SELECT {what} FROM calls ORDER BY id").fetchall()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
