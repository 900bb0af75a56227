"""Each MCP server: does it start, how fast does it answer, in which version, with how many tools?

Of the running hub where there is one; else they are started for the occasion.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from hub.doctor.findings import Finding, note, ok, wrong
from hub.downstream import NoCaller
from hub.downstream.errors import DownstreamError
from hub.settings import Settings
from hub.settings.mcp import McpServerSettings

if TYPE_CHECKING:
    from hub.mcp_hub import McpHub

LONGEST_START = 30.0
"""Seconds that servers get to start for the occasion."""
_ANSWER_SECONDS = 5.0
_POLL_SECONDS = 0.02

Row = Mapping[str, Any]
"""A server as `/hub/v1/status` has it."""


async def latencies(hub: McpHub) -> dict[str, float | str]:
    """Seconds until each server that is ready answers the least of questions, or why it does not."""
    ready = [row for row in hub.status() if row.state == "ready"]
    found = await asyncio.gather(*(_latency(hub, row.name, row.protocol_version) for row in ready))
    return {row.name: one for row, one in zip(ready, found, strict=True)}


async def _latency(hub: McpHub, name: str, version: str | None) -> float | str:
    method = "server/discover" if version in MODERN_PROTOCOL_VERSIONS else "ping"
    began = time.monotonic()
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await hub.request(name, method, {}, NoCaller())
    except TimeoutError:
        return f"does not answer `{method}` within {_ANSWER_SECONDS:g} s"
    except MCPError:
        pass  # that is an answer, too: some servers do not know `ping`
    except DownstreamError as error:
        return str(error)
    return time.monotonic() - began


async def started_findings(settings: Settings, version: str) -> list[Finding]:
    """What servers do that are started for the occasion, all at once."""
    from hub.mcp_hub import McpHub

    servers = settings.mcp_servers
    if not servers:
        return []
    logging.getLogger().addHandler(logging.NullHandler())  # what fails is in the findings
    patience = min(max(one.start_timeout for one in servers.values()) + 1, LONGEST_START)
    async with McpHub(version=version) as hub:
        began = time.monotonic()
        await hub.apply(servers, {})
        starts: dict[str, float] = {}
        while len(starts) < len(servers) and time.monotonic() - began < patience:
            for row in hub.status():
                if row.state != "starting":
                    starts.setdefault(row.name, time.monotonic() - began)
            await asyncio.sleep(_POLL_SECONDS)
        answers = await latencies(hub)
        rows = [asdict(row) for row in hub.status()]
    return server_findings(servers, rows, answers, starts)


def server_findings(
    servers: Mapping[str, McpServerSettings],
    rows: Iterable[Row],
    answers: Mapping[str, float | str],
    starts: Mapping[str, float] | None = None,
) -> list[Finding]:
    """`answers` are those of `latencies`; `starts` the seconds until each was up."""
    return [_server(servers.get(row["name"]), row, answers, (starts or {}).get(row["name"])) for row in rows]


def _server(
    settings: McpServerSettings | None, row: Row, answers: Mapping[str, float | str], start: float | None
) -> Finding:
    name, state = str(row["name"]), str(row["state"])
    if state == "disabled":
        return ok("server", name, "is switched off (`disabled: true`)")
    if state != "ready":
        reason = row.get("reason") or (
            "it has not answered yet" if state == "starting" else "no reason given"
        )
        what = f"{state}: {reason}"
        if state == "starting":
            return note("server", name, what, "wait; servers of npx and uvx download at their first start")
        return wrong("server", name, what, _remedy(name, settings, str(reason), state))
    answer = answers.get(name)
    if isinstance(answer, str):
        return wrong("server", name, answer, "start it again: hub serve, or save its settings; see hub logs")
    told = [
        f"MCP {row['protocol_version']} over {row['transport']}",
        f"{row['tools']} tools",
        f"up in {start:.1f} s" if start is not None else "",
        f"answers in {answer * 1000:.0f} ms" if answer is not None else "",
    ]
    what = ", ".join(part for part in told if part)
    notes = [*row.get("notes", ())]
    if row.get("restarts"):
        notes.append(f"was started again {row['restarts']} times")
    if notes:
        return note("server", name, f"{what}; {'; '.join(notes)}", "hub status and hub logs tell more")
    return ok("server", name, what)


def _remedy(name: str, settings: McpServerSettings | None, reason: str, state: str) -> str:
    if state == "needs login":
        return f"hub login {name}"
    if settings is None:
        return "hub logs tells more"
    if settings.url is not None:
        if "401" in reason or "403" in reason:
            return f"put its credential into mcpServers.{name}.headers, or: hub login {name}"
        return f"see mcpServers.{name}.url (Streamable HTTP; older servers need `type: sse`)"
    if "No such file" in reason or "not found" in reason.lower():
        return f"install it, or write its whole path in mcpServers.{name}.command"
    if "within" in reason:
        return f"if it is slow to start, raise mcpServers.{name}.start_timeout"
    return f"see its last words in hub logs, or run the command of mcpServers.{name} by hand"
