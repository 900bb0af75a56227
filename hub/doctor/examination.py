"""All that `hub doctor` looks at, at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.doctor import ides, machine, providers, servers
from hub.doctor.findings import Finding, note, ok, wrong
from hub.settings import LoadedSettings, Problem, SettingsError
from hub.snapshot import build_table, embedded_providers
from routing.table import Table


@dataclass(frozen=True, slots=True)
class Patient:
    """What is known before the examination begins."""

    path: Path | None
    loaded: LoadedSettings | None
    """None: the settings cannot be read; `problems` says why."""
    problems: tuple[Problem, ...]
    url: str
    """Where the hub is, or would be."""
    asks_for_key: bool
    version: str
    running: Mapping[str, Any] | None
    """The running hub's status."""
    latencies: Mapping[str, float | str]
    """The running hub's servers'."""
    hub: tuple[Finding, ...]
    """What was found where the hub should be."""


async def examine(patient: Patient) -> list[Finding]:
    """All findings, in the order of the table. Bounded: the slowest start of a server decides."""
    table, refused = _table(patient.loaded)
    parts: list[Awaitable[Iterable[Finding]]] = [
        _thread(lambda: [*_settings(patient), *refused]),
        _thread(lambda: patient.hub),
        _thread(lambda: _machine(patient)),
        _servers(patient),
    ]
    if patient.loaded is not None and table is not None:
        loaded = patient.loaded
        parts.append(providers.provider_findings(loaded.settings, loaded.environ, table))
    parts += [_thread(lambda: _embedded_and_usage(patient)), _thread(lambda: _ides(patient))]
    return [finding for part in await asyncio.gather(*parts) for finding in part]


async def _thread(look: Callable[[], Iterable[Finding]]) -> Iterable[Finding]:
    return await asyncio.to_thread(lambda: list(look()))


def _table(loaded: LoadedSettings | None) -> tuple[Table | None, list[Finding]]:
    """The routing table as `serve` would make it, and what is wrong with it."""
    if loaded is None:
        return None, []
    elsewhere = dict.fromkeys(embedded_providers(loaded.settings), "http://127.0.0.1/v1")
    try:
        return build_table(loaded.settings, loaded.environ, embedded=elsewhere), []
    except SettingsError as error:
        return None, [_problem(loaded.path, problem) for problem in error.problems]


def _settings(patient: Patient) -> Iterable[Finding]:
    loaded = patient.loaded
    if loaded is None:
        yield from (_problem(patient.path, problem) for problem in patient.problems)
        return
    if patient.path is None:
        yield note(
            "settings", "file", "there is none; the hub uses what it finds", "write hub.yaml, or: hub import"
        )
    else:
        settings = loaded.settings
        counts = f"{len(settings.groups)} groups, {len(settings.mcp_servers)} MCP servers"
        yield ok("settings", "file", f"{patient.path} is right: {counts}")
    yield from (note("settings", "file", remark) for remark in loaded.notes)
    state = (patient.running or {}).get("settings", {})
    if state.get("error"):
        yield wrong(
            "settings",
            "running hub",
            f"it goes on with older settings: {state['error']}",
            "correct the file: the hub follows at once",
        )


def _problem(path: Path | None, problem: Problem) -> Finding:
    place = f"{path or 'settings'}{f':{problem.line}' if problem.line is not None else ''}"
    where = problem.where if problem.where != str(path) else ""
    what = ": ".join(part for part in (where, problem.message) if part)
    return wrong("settings", place, what, problem.hint or "correct it; hub check looks again")


def _machine(patient: Patient) -> Iterable[Finding]:
    yield machine.state_folder_finding()
    if (open_files := machine.open_files_finding()) is not None:
        yield open_files
    if patient.loaded is not None:
        yield from machine.program_findings(patient.loaded.settings, os.environ)


async def _servers(patient: Patient) -> list[Finding]:
    configured = patient.loaded.settings.mcp_servers if patient.loaded is not None else {}
    if patient.running is not None:
        return servers.server_findings(configured, patient.running["servers"], patient.latencies)
    if patient.loaded is None:
        return []
    return await servers.started_findings(patient.loaded.settings, patient.version)


def _embedded_and_usage(patient: Patient) -> Iterable[Finding]:
    if patient.running is not None:
        yield from (_embedded(row) for row in patient.running["embedded"])
        usage = patient.running.get("usage") or {}
        if usage.get("reason"):
            remedy = "see `usage.url` in the settings, and the room on the disk"
            yield wrong("usage", "running hub", f"{usage.get('state')}: {usage['reason']}", remedy)
    if patient.loaded is None:
        return
    if patient.running is None:
        yield from machine.embedded_findings(patient.loaded.settings)
    yield machine.usage_finding(patient.loaded.settings)


def _embedded(row: Mapping[str, Any]) -> Finding:
    name, state, reason = str(row["name"]), str(row["state"]), row.get("reason")
    if state == "ready":
        return ok("embedded", name, f"ready at {row['base_url']}")
    what = f"{state}: {reason}" if reason else state
    if state in ("starting", "fetching"):
        return note("embedded", name, what, "wait: it is on its way")
    return wrong("embedded", name, what, f"see providers.{name}.embedded, and hub logs")


def _ides(patient: Patient) -> Iterable[Finding]:
    endpoints = None
    if patient.running is not None:
        names = (row["name"] for row in patient.running["servers"])
        endpoints = {*names, *patient.running.get("profiles", ()), "hub"}
    elif patient.loaded is not None:
        settings = patient.loaded.settings
        endpoints = {*settings.mcp_servers, *settings.profiles, "hub"}
    expected = ides.Expected(patient.url, endpoints, patient.asks_for_key)
    return ides.ide_findings(expected)
