"""The page that says which client works with which protocol: `python -m tests.clients.table` writes it.

The findings of the last runs are kept beside this module, so that the page can be checked against them.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.clients.install import VERSIONS
from tests.clients.results import FEATURES, IN_SESSION, SESSION, Finding, gather

KEPT = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
TARGETS = {
    "chat": "OpenAI Chat Completions",
    "responses": "OpenAI Responses",
    "anthropic": "Anthropic Messages",
    "gemini": "Gemini",
    "ollama": "Ollama",
}
ALONE = {"run": "Started by `hub run`, with an own tool and one of the hub's", "mcp": "MCP alone"}
PASS, FAIL, UNTRIED = "✅", "❌", "·"
HEAD = """\
# Which clients work

<!-- Written by `make test-clients`: a change by hand is lost. -->

Each mark is a run of the real client, without a terminal, against the real hub, whose upstream speaks
the target's protocol and follows a script. {pass_} worked in the run of that date, {fail} did not (the
reasons are below), and {untried} was not run or cannot be: Chat Completions and Ollama have no signatures.

The lines that the runs use are those of the pages on the clients: [Claude Code](clients/claude-code.md),
[Gemini CLI](clients/gemini-cli.md), [Codex](clients/codex.md), [opencode](clients/opencode.md),
[Qwen Code](clients/qwen-code.md), [Copilot CLI](clients/copilot-cli.md). [Cursor](clients/cursor.md),
[VS Code](clients/vscode.md), [Zed](clients/zed.md) and [Cline](clients/cline.md) have no mode without a
window and were not run. Nor were conversations so long that a client shortens them by itself, and the windows
of the terminal programs.
"""


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.client, finding.target, finding.feature


def merged(old: Sequence[Finding], new: Sequence[Finding]) -> list[Finding]:
    """The newest finding of each cell, for the versions of now."""
    current = [one for one in (*old, *new) if one.version == VERSIONS[one.package]]
    cells = {_key(finding): finding for finding in current}
    return [cells[key] for key in sorted(cells)]


def read() -> list[Finding]:
    return [Finding(**one) for one in json.loads(KEPT.read_text())] if KEPT.exists() else []


def _cells(
    findings: Sequence[Finding], features: Sequence[str], places: Sequence[tuple[str, str]]
) -> list[str]:
    known = {_key(finding): finding for finding in findings}
    row = []
    for client, target in places:
        for feature in features:
            finding = known.get((client, target, feature))
            row.append(UNTRIED if finding is None else PASS if finding.reason is None else FAIL)
    return row


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def render(findings: Sequence[Finding]) -> str:
    """The page, from the findings alone."""
    parts = [HEAD.format(pass_=PASS, fail=FAIL, untried=UNTRIED)]
    clients = sorted({finding.client for finding in findings if finding.target in TARGETS})
    parts += ["## Versions\n", "| client | package | version | last run |\n| --- | --- | --- | --- |"]
    for package in sorted({finding.package for finding in findings}):
        of = [finding for finding in findings if finding.package == package]
        names = ", ".join(f"`{name}`" for name in sorted({finding.client for finding in of}))
        parts.append(_line([names, f"`{package}`", of[0].version, max(finding.date for finding in of)]))
    parts.append("\n## What was tried\n")
    parts.append("| mark | what the run shows |\n| --- | --- |")
    parts += [_line([name, told]) for name, told in FEATURES.items()]
    for target, title in TARGETS.items():
        parts.append(f"\n## Target: {title}\n")
        parts.append(_line(["client", *FEATURES]))
        parts.append(_line(["---"] * (len(FEATURES) + 1)))
        for client in clients:
            parts.append(_line([f"`{client}`", *_cells(findings, tuple(FEATURES), [(client, target)])]))
    parts.append("\n## In one session\n")
    parts.append("| mark | what the run shows |\n| --- | --- |")
    parts += [_line([name, told]) for name, told in IN_SESSION.items()]
    parts.append("\n" + _line(["client", *IN_SESSION]))
    parts.append(_line(["---"] * (len(IN_SESSION) + 1)))
    for client in clients:
        parts.append(_line([f"`{client}`", *_cells(findings, tuple(IN_SESSION), [(client, SESSION)])]))
    for target, title in ALONE.items():
        found = [finding for finding in findings if finding.target == target]
        if not found:
            continue
        parts.append(f"\n## {title}\n")
        parts.append("| client | what | |\n| --- | --- | --- |")
        for finding in found:
            mark = PASS if finding.reason is None else FAIL
            parts.append(_line([f"`{finding.client}`", finding.feature, mark]))
    red = [finding for finding in findings if finding.reason is not None]
    if red:
        parts.append("\n## What does not work, and why\n")
        parts.append("| client | target | what | why |\n| --- | --- | --- | --- |")
        for finding in red:
            parts.append(_line([f"`{finding.client}`", finding.target, finding.feature, _reason(finding)]))
    return "\n".join(parts) + "\n"


def _reason(finding: Finding) -> str:
    """Short enough for a table, and without what a table or a link could take for its own."""
    short = (finding.reason or "").split("; ")[0][:160]
    return "".join(" " if one in "|[]()<>`\n" else one for one in short)


def main() -> None:
    findings = merged(read(), gather())
    KEPT.write_text(json.dumps([asdict(_short(finding)) for finding in findings], indent=1) + "\n")
    PAGE.write_text(render(read()))
    red = sum(finding.reason is not None for finding in findings)
    print(f"{len(findings)} cells, {red} red: {PAGE} ({platform.system()})")


def _short(finding: Finding) -> Finding:
    """Without the client's output, which names folders of the machine that ran it."""
    return finding if finding.reason is None else Finding(**{**asdict(finding), "reason": _reason(finding)})


if __name__ == "__main__":
    main()
