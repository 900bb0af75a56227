"""The page `docs/mcp-conformance.md`, made from the results that were recorded.

python -m tests.conformance.table          write the page
HUB_CONFORMANCE_RECORD=1 make conformance  record new results, and write the page
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hub.doctor.conformance import PACKAGE, REVISIONS, VERSION, Report
from tests.hub.mcp.impossible import IMPOSSIBLE, NO_SSE

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "mcp-conformance.md"
TITLES = {
    "http": "HTTP server",
    "stdio": "stdio server",
    "http_older": "HTTP server of 2025",
    "stdio_older": "stdio server of 2025",
}
KINDS = {"required": "", "extension": "extension", "pending": "not settled"}

_HEAD = """\
# MCP conformance

The hub passes the official conformance suite of MCP for both revisions that are in use: `{package}`
{suite} (npm), every scenario that the revision requires, no expected failures. Each run goes through
`/mcp/{{server}}` of the real program with the pooled sessions that users get, once in front of a
Streamable HTTP server and once in front of a stdio server. A client of 2025-11-25 is also tested in front
of servers that do not know 2026-07-28.

Run on {date} with hub {hub}, mcp {mcp} and fastmcp {fastmcp}. Continuous integration runs it again for
every change.

```text
make conformance                          # for those who work on the hub; needs npm
hub doctor --conformance SERVER           # through a hub, in front of one of your own servers
```

A cell is the number of checks that passed, or how many of how many. What is marked in the second column
is run by the suite and passes, and does not count there: extensions, and what is not settled yet.
"""
_NOTES = """
## What is beyond the suite

Every feature of MCP is tested through the hub in every combination of the client's era (2025-11-25 and
2026-07-28), the server's era and its transport (stdio, Streamable HTTP, SSE): elicitation by form and by
URL, sampling, roots, progress, logging, cancellation, resource subscriptions and updates, list changes,
pagination, `_meta`, structured content, icons and annotations, cache hints, completions, binary resources
and tasks. All of them pass but these, which the specification makes impossible:

| feature | client | server | why |
| --- | --- | --- | --- |
"""
_YEARS = {"legacy": "2025", "modern": "2026"}


def record(reports: Mapping[tuple[str, str], Report]) -> None:
    """Keep the reports of a whole run, by revision and server, and write the page."""
    document = {
        "date": datetime.now(UTC).date().isoformat(),
        "suite": VERSION,
        "versions": {name: version(name) for name in ("ccproxy-hub", "mcp", "fastmcp")},
        "runs": [
            {
                "revision": revision,
                "server": server,
                "scenarios": [asdict(one) for one in sorted(report.scenarios, key=lambda one: one.name)],
            }
            for (revision, server), report in sorted(reports.items())
        ],
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    PAGE.write_text(page(document))


def recorded() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(RESULTS.read_text())
    return document


def page(document: Mapping[str, Any]) -> str:
    versions = document["versions"]
    head = _HEAD.format(
        package=PACKAGE,
        suite=document["suite"],
        date=document["date"],
        hub=versions["ccproxy-hub"],
        mcp=versions["mcp"],
        fastmcp=versions["fastmcp"],
    )
    tables = "".join(_table(revision, document["runs"]) for revision in REVISIONS)
    return head + tables + _NOTES + "".join(f"{row}\n" for row in _impossible())


def _impossible() -> Iterable[str]:
    yield f"| all | any | 2026, over SSE | {NO_SSE} |"
    for (feature, client, server), reason in IMPOSSIBLE.items():
        yield f"| {feature} | {_YEARS[client]} | {_YEARS[server]} | {reason} |"


def _table(revision: str, runs: Iterable[Mapping[str, Any]]) -> str:
    columns = {run["server"]: run["scenarios"] for run in runs if run["revision"] == revision}
    servers = [server for server in TITLES if server in columns]
    cells = {
        server: {one["name"]: _cell(one["passed"], one["failed"]) for one in columns[server]}
        for server in servers
    }
    kinds = {one["name"]: one["kind"] for scenarios in columns.values() for one in scenarios}
    counted = sum(kind == "required" for kind in kinds.values())
    lines = [
        f"\n## {revision}: {counted} scenarios\n",
        f"| scenario | | {' | '.join(TITLES[server] for server in servers)} |",
        "| --- " * (len(servers) + 2) + "|",
    ]
    for name in sorted(kinds, key=lambda name: ([*KINDS].index(kinds[name]), name)):
        row = " | ".join(cells[server].get(name, "") for server in servers)
        lines.append(f"| `{name}` | {KINDS[kinds[name]]} | {row} |")
    return "\n".join(lines) + "\n"


def _cell(passed: int, failed: int) -> str:
    return f"{passed} of {passed + failed}" if failed else str(passed)


if __name__ == "__main__":
    PAGE.write_text(page(recorded()))
