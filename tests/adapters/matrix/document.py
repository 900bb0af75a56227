"""Writes `docs/protocol-conversion.md` from its template, the table of losses and that of fields.

`python -m tests.adapters.matrix.document` writes the page, and the decisions on fields anew; reasons for
what is silent stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from adapters.registry import codec
from tests.adapters.matrix import allowed, answer_fields, fields
from tests.adapters.matrix.allowed import Row
from tests.adapters.matrix.cases import PROTOCOLS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "protocol-conversion.md"
TEMPLATE = Path(__file__).parent / "protocol-conversion.template.md"

_REQUESTS = {
    "openai": ("CompletionCreateParams",),
    "openai-responses": ("ResponseCreateParams",),
    "anthropic": ("MessageCreateParams",),
    "gemini": ("GeminiRequest", "GenerationConfig"),
    "ollama": ("ChatRequest", "GenerateRequest", "Options"),
}
_SHORT = {
    "openai": "Chat",
    "openai-responses": "Responses",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "ollama": "Ollama",
}


def page() -> str:
    text = TEMPLATE.read_text(encoding="utf-8")
    for marker, made in (
        ("losses", _losses()),
        ("silent", _silent()),
        ("identity", _identity()),
        ("fields", _fields()),
        ("answer-fields", _answer_fields()),
    ):
        text = text.replace(f"<!-- {marker} -->\n", made)
    return text


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _names(protocols: Iterable[str]) -> str:
    listed = set(protocols)
    if listed == {*PROTOCOLS}:
        return "all"
    return ", ".join(_SHORT[one] for one in PROTOCOLS if one in listed)


def _merged(rows: tuple[Row, ...]) -> list[tuple[tuple[str, ...], str, set[str], set[str]]]:
    """Rows of the same names and reason as one: names, reason, clients, targets."""
    out: dict[tuple[tuple[str, ...], str], tuple[set[str], set[str]]] = {}
    for row in rows:
        clients, targets = out.setdefault((row.names, row.reason), (set(), set()))
        clients.update(row.clients)
        targets.update(row.targets)
    return [(names, reason, clients, targets) for (names, reason), (clients, targets) in out.items()]


def _losses() -> str:
    rows = (
        (", ".join(f"`{name}`" for name in names), _names(clients), _names(targets), reason)
        for names, reason, clients, targets in _merged(allowed.rows("loss"))
    )
    return _table(("code", "client", "target", "why"), rows)


def _silent() -> str:
    rows = (
        (
            ", ".join(dict.fromkeys(f"`{name.lstrip('+')}`" for name in names)),
            _names(clients),
            _names(targets),
            reason,
        )
        for names, reason, clients, targets in _merged(allowed.rows("silent"))
    )
    return _table(("what", "client", "target", "why"), dict.fromkeys(rows))


def _identity() -> str:
    rows = (
        (_SHORT[protocol], f"`{feature}`", why) for (protocol, feature), why in allowed.identity().items()
    )
    return _table(("protocol", "case", "why"), rows)


def _fields() -> str:
    out = []
    for protocol in PROTOCOLS:
        found = fields.decided()[protocol]
        counts = Counter(decision for kind in found.values() for decision in kind.values())
        told = ", ".join(f"{counts[one]} {one}" for one in ("mapped", "carried", "refused", "silent", "tag"))
        out.append(f"### {codec(protocol).title}\n\n{len(found)} types: {told}.\n\n")
        rows = []
        for kind in _REQUESTS[protocol]:
            for decision in ("mapped", "carried", "refused", "silent"):
                names = [f"`{name}`" for name, one in found[kind].items() if one == decision]
                if names:
                    rows.append((f"`{kind}`", decision, ", ".join(names)))
        out.append(_table(("type", "decision", "fields"), rows) + "\n")
    return "".join(out)


_ANSWERS = {
    "openai": ("ChatCompletion", "ChatCompletionMessage", "ChatCompletionChunk", "ChoiceDelta"),
    "openai-responses": ("Response", "ResponseOutputText"),
    "anthropic": ("Message", "Usage", "TextBlock"),
    "gemini": ("GenerateContentResponse", "Candidate", "Part"),
    "ollama": ("ChatResponse", "GenerateResponse", "Message"),
}


def _answer_fields() -> str:
    out = []
    for protocol in PROTOCOLS:
        found = answer_fields.decided()[protocol]
        decisions = get_args(answer_fields.Decision)
        counts = Counter(decision for kind in found.values() for decision in kind.values())
        told = ", ".join(f"{counts[one]} {one}" for one in decisions if counts[one])
        out.append(f"### Answers of {codec(protocol).title}\n\n{len(found)} types: {told}.\n\n")
        rows = []
        for kind in _ANSWERS[protocol]:
            for decision in decisions[:-1]:
                names = [f"`{name}`" for name, one in found[kind].items() if one == decision]
                if names:
                    rows.append((f"`{kind}`", decision, ", ".join(names)))
        out.append(_table(("type", "decision", "fields"), rows) + "\n")
    out.append("Why not everybody is told of what is silent or dropped:\n\n")
    reasons = [(f"`{pattern}`", why) for pattern, why in answer_fields.reasons().items()]
    return "".join(out) + _table(("fields", "why"), reasons) + "\n"


def main() -> None:
    answer_fields.PATH.write_text(
        answer_fields.as_toml(answer_fields.tried(), answer_fields.reasons()), encoding="utf-8"
    )
    fields.PATH.write_text(fields.as_toml(fields.tried(), fields.notes()), encoding="utf-8")
    for table in (answer_fields, fields):
        table.forget()
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
