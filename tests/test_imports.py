"""The rooms and the direction of imports: hub -> routing -> adapters, never back."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("adapters", "routing", "hub")

MAY_IMPORT = {
    "adapters": {"adapters"},
    "routing": {"adapters", "routing"},
    "hub": {"adapters", "routing", "hub"},
}
FORBIDDEN = {
    # no I/O, no clock, no random ids, no web or HTTP library
    "adapters": [
        "aiohttp",
        "anyio",
        "asyncio",
        "fastmcp",
        "http",
        "httpx",
        "httpx2",
        "mcp",
        "mcp_types",
        "pathlib",
        "pydantic",
        "pydantic_settings",
        "random",
        "requests",
        "secrets",
        "socket",
        "ssl",
        "starlette",
        "subprocess",
        "time",
        "urllib3",
        "uuid",
        "uvicorn",
        "yaml",
    ],
    # no MCP, no reading of settings files
    "routing": [
        "fastmcp",
        "mcp",
        "mcp_types",
        "pydantic",
        "pydantic_settings",
        "yaml",
        "watchfiles",
        "cyclopts",
    ],
    "hub": [],
}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names):
                found.update(alias.name.split(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module.split(".")[0])
            case ast.ImportFrom(level=level) if level:
                raise AssertionError(f"{path}: relative import")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_downwards(room: str) -> None:
    assert modules(room)
    backwards = {
        str(path.relative_to(ROOT)): sorted(names)
        for path in modules(room)
        if (names := imported(path) & set(ROOMS) - MAY_IMPORT[room])
    }
    assert backwards == {}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_keep_out_what_is_not_theirs(room: str) -> None:
    misplaced = {
        str(path.relative_to(ROOT)): sorted(names)
        for path in modules(room)
        if (names := imported(path) & set(FORBIDDEN[room]))
    }
    assert misplaced == {}


def test_adapters_have_no_clock() -> None:
    """Times come in as values; `datetime` may only format them."""
    clocks = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter"}
    used = {
        str(path.relative_to(ROOT)): node.attr
        for path in modules("adapters")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in clocks
    }
    assert used == {}


def test_every_import_is_declared() -> None:
    """What the rooms import comes from the standard library or from pyproject's dependencies."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = project["dependencies"] + project["optional-dependencies"]["embedded"]
    declared = {name.split(">")[0].split(";")[0].strip().replace("-", "_") for name in named}
    modules_of = {"pyyaml": "yaml", "python_dotenv": "dotenv", "opentelemetry_api": "opentelemetry"}
    declared = {modules_of.get(name, name) for name in declared}
    used = {name for room in ROOMS for path in modules(room) for name in imported(path)}
    assert used - declared - set(ROOMS) - sys.stdlib_module_names == set()
