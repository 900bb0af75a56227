"""Signs that requests carry of what they are for: a helper's, a subagent's, or marked in their prompt.

Clients say it themselves where they can: Claude Code in `x-claude-code-*` headers (agent ids since
2.1.139; the request's class since 2.1.273, to gateways with CLAUDE_CODE_GATEWAY_HINT_HEADERS=1) and in
the line that begins its system prompt, Codex in `x-openai-subagent` and `x-codex-parent-thread-id`,
opencode in `x-parent-session-id`, Copilot in `x-interaction-type`. Where they do not, the shape of the
request tells: a coding agent's main requests have tools, its titles and probes have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from adapters import tokens
from adapters.canonical import ChatRequest, Message, Part, Text, ToolCall, ToolResult

Headers = Mapping[bytes, bytes]
"""Names in lower case."""


class Sign(NamedTuple):
    """`why` is for people; "" where there is no sign. `kind` is the subagent's own name, if told."""

    present: bool
    why: str
    kind: str = ""


_CLASS = b"x-claude-code-request-class"
_CLASSES = frozenset(("main", "subagent", "workflow", "compaction", "auxiliary"))
_OPENAI = b"x-openai-subagent"
_OPENAI_HELPERS = frozenset(("memory_consolidation",))
_OPENAI_OTHERS = frozenset(("compact", "false", "0"))
"""Values that name no agent: the conversation's own summary."""
_INTERACTION = b"x-interaction-type"
_BILLING = "x-anthropic-billing-header"
_BILLING_SUBAGENT = "cc_is_subagent=true"

_CHILD_HEADERS = (
    b"x-claude-code-agent-id",
    b"x-claude-code-parent-agent-id",
    b"x-codex-parent-thread-id",
    b"x-parent-session-id",
)
"""Sent by subagents alone."""
_SESSION_HEADERS = (b"x-claude-code-session-id", b"x-session-affinity", b"x-session-id", b"session-id")
_AGENTS_WITHOUT_SESSION = ("GeminiCLI", "QwenCode")
"""Coding agents that send no session header, by the name of their user agent."""

_SMALL_MODEL = re.compile(r"claude.*haiku|flash-?lite|[-.]nano(?![a-z])", re.IGNORECASE)
"""Models that coding agents take for their helpers: Claude Code, Gemini CLI, opencode."""
_LONGEST_HELPER = 4_000
"""Tokens: a title's or a router's prompt is short."""


def background(model: str, client: str, headers: Headers, request: ChatRequest | None) -> Sign:
    """Whether it is one of the small requests that a client makes beside the conversation."""
    said = _text(headers, _CLASS)
    if said in _CLASSES:
        return Sign(said == "auxiliary", f"the client says that it is of the class `{said}`")
    if (kind := _text(headers, _OPENAI)) in _OPENAI_HELPERS:
        return Sign(True, f"the client says that it is for `{kind}`")
    if _SMALL_MODEL.search(model):
        return Sign(True, f"`{model}` is a small model of which clients make helpers")
    if request is None:
        return Sign(False, "")
    if request.max_tokens == 1:
        return Sign(True, "it asks for one token alone, which is a probe")
    if _is_agents(client, headers) and _is_helper(request):
        return Sign(True, "a coding agent sends it without tools, short, and without a conversation")
    return Sign(False, "")


def _is_agents(client: str, headers: Headers) -> bool:
    return client.startswith(_AGENTS_WITHOUT_SESSION) or any(name in headers for name in _SESSION_HEADERS)


def _is_helper(request: ChatRequest) -> bool:
    if request.tools or any(message.role in ("assistant", "tool") for message in request.messages):
        return False
    if any(isinstance(part, ToolCall | ToolResult) for part in _parts(request)):
        return False
    return tokens.of_request(request) <= _LONGEST_HELPER


def subagent(headers: Headers, request: ChatRequest | None) -> Sign:
    """Whether an agent sends it that another agent started."""
    kind = _text(headers, b"x-claude-code-agent-type")
    said = _text(headers, _CLASS)
    if said in _CLASSES:
        yes = said in ("subagent", "workflow")
        return Sign(yes, f"the client says that it is of the class `{said}`", kind or said if yes else "")
    if (named := _text(headers, _OPENAI)) and named not in _OPENAI_OTHERS | _OPENAI_HELPERS:
        return Sign(True, f"`{_OPENAI.decode()}` says `{named}`", named)
    if _text(headers, _INTERACTION) == "conversation-subagent":
        return Sign(True, f"`{_INTERACTION.decode()}` says so", kind)
    for name in _CHILD_HEADERS:
        if _text(headers, name):
            return Sign(True, f"it has the header `{name.decode()}`", kind)
    if request is not None and any(
        isinstance(part, Text) and part.text.startswith(_BILLING) and _BILLING_SUBAGENT in part.text
        for part in request.instructions
    ):
        return Sign(True, f"its system prompt says `{_BILLING_SUBAGENT}`", kind)
    return Sign(False, "")


def _text(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1").strip()


def _parts(request: ChatRequest) -> Iterator[Part]:
    yield from request.instructions
    for message in request.messages:
        yield from message.parts


# ---------------------------------------------------------------- the marker in a prompt

_MARKER = re.compile(r"\s*<(hub-route|CCR-SUBAGENT-MODEL)>\s*([^<>\n]{1,200}?)\s*</\1>[ \t]*\r?\n?", re.ASCII)
"""The second spelling is the one that claude-code-router reads, so that its agents' files can stay."""


def marker(request: ChatRequest) -> str | None:
    """What stands in `<hub-route>…</hub-route>` where a text of the prompt begins.

    The prompt is the system text and whatever comes before the first answer: neither an answer nor
    a tool's result can set it.
    """
    for part in _prompt(request):
        if isinstance(part, Text) and (found := _MARKER.match(part.text)):
            return found[2]
    return None


def without_marker(request: ChatRequest) -> ChatRequest:
    """`request` without the text of its markers."""
    count = _prompt_length(request.messages)
    messages = tuple(replace(each, parts=_cut(each.parts)) for each in request.messages[:count])
    return replace(
        request,
        instructions=_cut(request.instructions),
        messages=(*messages, *request.messages[count:]),
    )


def _prompt(request: ChatRequest) -> Iterator[Part]:
    yield from request.instructions
    for message in request.messages[: _prompt_length(request.messages)]:
        yield from message.parts


def _prompt_length(messages: tuple[Message, ...]) -> int:
    """How many messages stand before the first answer."""
    return next(
        (at for at, message in enumerate(messages) if message.role in ("assistant", "tool")), len(messages)
    )


def _cut(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    return tuple(
        replace(part, text=part.text[found.end() :])
        if isinstance(part, Text) and (found := _MARKER.match(part.text))
        else part
        for part in parts
    )
