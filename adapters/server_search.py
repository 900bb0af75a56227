"""A provider's own web search, played with a function: for targets that have no search.

The target is offered a function in the tool's place. What came of its calls is told to the client in the
shapes that its protocol has for searches:

* Anthropic: `server_tool_use` and `web_search_tool_result` (https://platform.claude.com/docs/en/
  agents-and-tools/tool-use/web-search-tool). `encrypted_content` holds the result's text for later turns.
* Responses: `web_search_call` items, `url_citation` annotations (https://developers.openai.com/api/docs/
  guides/tools-web-search); Chat Completions: those annotations.
* Gemini: `groundingMetadata` of the candidate (https://ai.google.dev/gemini-api/docs/google-search).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.canonical import (
    ChatRequest,
    Extensions,
    Message,
    Opaque,
    Part,
    ProviderTool,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from adapters.jsontext import dump, load_object
from adapters.losses import Losses
from adapters.search_results import Found, named

NAME = "web_search"
_OTHER_NAME = "hub_web_search"
"""Where the client has a function of the first name."""
MARK = "hub-search:"
"""Begins what stands for an encrypted text."""
_ID = "srvtoolu_hub"
_ITEM_ID = "ws_hub"
SIGNS = (f'"{_ID}'.encode(), f'"{_ITEM_ID}'.encode())
"""Stand in the body of a client that has had an answer with searches."""
_DESCRIPTION = (
    "Search the web. Gives pages with their titles, addresses and texts; name the addresses you use."
)
_PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": "What to search for."}},
    "required": ["query"],
}
_MOST_USES = 5
"""Searches in one answer, unless the client says fewer or more (`max_uses`)."""
_USES_ALLOWED = 20
_PLAIN_KEYS = frozenset({"type", "name", "max_uses", "cache_control", "search_context_size"})
"""Of a tool's definition: what is followed, or makes no difference."""


def is_search(tool: Tool | ProviderTool) -> bool:
    """`web_search_20250305`, `web_search_preview`, `googleSearch`, `google_search_retrieval`."""
    if not isinstance(tool, ProviderTool):
        return False
    kind = tool.kind.lower().replace("_", "")
    return kind.startswith(("websearch", "googlesearch"))


@dataclass(frozen=True, slots=True)
class Searched:
    """A call of the search, and what came of it. `error` says why nothing did."""

    call: ToolCall
    query: str
    text: str
    """For the model."""
    found: tuple[Found, ...] = ()
    error: bool = False


# ---------------------------------------------------------------- the request


@dataclass(frozen=True, slots=True)
class Offered:
    """A request with a function in the place of the search, named `name`."""

    request: ChatRequest
    name: str
    uses: int
    losses: Losses


def with_function(request: ChatRequest) -> Offered | None:
    """None: the request has no search."""
    searches = [tool for tool in request.tools if is_search(tool)]
    if not searches:
        return None
    losses = Losses()
    taken = {tool.name for tool in request.tools if isinstance(tool, Tool)}
    name = _OTHER_NAME if NAME in taken else NAME
    uses = _MOST_USES
    for tool in searches:
        assert isinstance(tool, ProviderTool)
        definition = tool.definition.get(tool.kind, tool.definition)  # Gemini's stands below its name
        if not isinstance(definition, Mapping):
            continue
        if isinstance(asked := definition.get("max_uses"), int):
            uses = max(1, min(asked, _USES_ALLOWED))
        for key, value in definition.items():
            if key not in _PLAIN_KEYS and value not in (None, [], {}):
                where = f"{tool.place}.{key}" if tool.place else key
                losses.add(f"tool.{NAME}.{key}", where, "the hub's own search has no such option")
    function = Tool(name, _DESCRIPTION, _PARAMETERS)
    tools = [function if tool is searches[0] else tool for tool in request.tools]
    tools = [tool for tool in tools if not is_search(tool)]
    names = {one.name or one.kind for one in searches if isinstance(one, ProviderTool)}
    names |= {one.kind for one in searches if isinstance(one, ProviderTool)}
    choice = request.tool_choice
    if choice is not None and choice.names:
        choice = replace(choice, names=tuple(name if one in names else one for one in choice.names))
    changed = replace(request, tools=tuple(tools), tool_choice=choice)
    return Offered(remembering(changed, name), name, uses, losses)


def going_on(
    request: ChatRequest, said: Sequence[Part], searched: Sequence[Searched], *, last: bool
) -> ChatRequest:
    """The request for the next part of the answer. `last`: no more searches."""
    results = tuple(
        ToolResult(one.call.id, (Text(one.text),), one.call.name, is_error=one.error) for one in searched
    )
    messages = (*request.messages, Message("assistant", tuple(said)), Message("tool", results))
    choice = ToolChoice("none") if last else None  # what was demanded has been done
    return replace(request, messages=messages, tool_choice=choice)


def query_of(call: ToolCall) -> str:
    """What a call searches for; "": it does not say."""
    arguments = load_object(call.arguments) or {}
    values = (arguments.get("query"), *arguments.values())
    return next((value for value in values if isinstance(value, str) and value.strip()), "")


# ---------------------------------------------------------------- what the client is told


def call_id(stem: str, number: int) -> str:
    return f"{_ID}{stem}{number}"


def blocks(protocol: str, searched: Searched, stem: str, number: int) -> tuple[Opaque, ...]:
    """The search as the client's protocol tells it among an answer's parts."""
    match protocol:
        case "anthropic":
            return _anthropic(searched, call_id(stem, number))
        case "openai-responses":
            sources = [{"type": "url", "url": one.url} for one in searched.found]
            action = {
                "type": "search",
                "query": searched.query,
                "queries": [searched.query],
                "sources": sources,
            }
            status = "failed" if searched.error else "completed"
            item = {"id": f"{_ITEM_ID}{stem}{number}", "type": "web_search_call", "status": status}
            return (Opaque(protocol, "web_search_call", {**item, "action": action}),)
        case _:
            return ()


def _anthropic(searched: Searched, identifier: str) -> tuple[Opaque, ...]:
    call = {"type": "server_tool_use", "id": identifier, "name": NAME, "input": {"query": searched.query}}
    content: Any = [
        {
            "type": "web_search_result",
            "url": one.url,
            "title": one.title,
            "encrypted_content": MARK + base64.b64encode(one.text.encode("utf-8", "replace")).decode(),
            "page_age": None,
        }
        for one in searched.found
    ]
    if searched.error:
        content = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    result = {"type": "web_search_tool_result", "tool_use_id": identifier, "content": content}
    return (
        Opaque("anthropic", "server_tool_use", call),
        Opaque("anthropic", "web_search_tool_result", result),
    )


def citations(protocol: str, text: str, found: Iterable[Found], before: int = 0) -> Extensions:
    """For a finished text: which pages it names, and where. `before`: how much text stood before it."""
    if protocol not in ("openai", "openai-responses"):
        return {}
    at = before if protocol == "openai" else 0  # Chat Completions has one text in all
    annotations: list[dict[str, Any]] = []
    for start, end, page in named(text, found):
        said = {"start_index": at + start, "end_index": at + end, "url": page.url, "title": page.title}
        annotation = {"type": "url_citation", **({"url_citation": said} if protocol == "openai" else said)}
        annotations.append(annotation)
    return {protocol: {"annotations": annotations}} if annotations else {}


def grounding(protocol: str, searched: Sequence[Searched], texts: Sequence[str]) -> Extensions:
    """For the end of an answer to a Gemini client."""
    if protocol != "gemini" or not searched:
        return {}
    pages = list({page.url: page for one in searched for page in one.found}.values())
    supports = [
        {
            "segment": {
                "partIndex": at,
                "startIndex": len(text[:start].encode()),
                "endIndex": len(text[:end].encode()),
                "text": text[start:end],
            },
            "groundingChunkIndices": [pages.index(page)],
        }
        for at, text in enumerate(texts)
        for start, end, page in named(text, pages)
    ]
    metadata = {
        "webSearchQueries": [one.query for one in searched],
        "groundingChunks": [{"web": {"uri": page.url, "title": page.title}} for page in pages],
        "groundingSupports": supports,
    }
    return {"gemini": {"groundingMetadata": metadata}}


def added(first: Usage | None, second: Usage | None) -> Usage | None:
    """The counts of two answers together."""
    if first is None or second is None:
        return first or second

    def both(name: str) -> int | None:
        one, other = getattr(first, name), getattr(second, name)
        return None if one is None and other is None else (one or 0) + (other or 0)

    return Usage(
        first.input_tokens + second.input_tokens,
        first.output_tokens + second.output_tokens,
        both("cached_tokens"),
        both("cache_write_tokens"),
        both("reasoning_tokens"),
        first.estimated or second.estimated,
        second.extensions,
    )


def counted(protocol: str, usage: Usage | None, searches: int) -> Usage | None:
    """Anthropic tells in its usage how many searches there were."""
    if usage is None or protocol != "anthropic":
        return usage
    counts = {**usage.extensions.get("anthropic", {}), "server_tool_use": {"web_search_requests": searches}}
    return replace(usage, extensions={**usage.extensions, "anthropic": counts})


# ---------------------------------------------------------------- later turns


def remembering(request: ChatRequest, name: str = NAME) -> ChatRequest:
    """The request with the hub's own searches of earlier turns as calls and results of the function."""
    messages = tuple(one for message in request.messages for one in _remembered(message, name))
    return request if messages == request.messages else replace(request, messages=messages)


def _remembered(message: Message, name: str) -> Iterator[Message]:
    if not any(_is_ours(part) for part in message.parts):
        yield message
        return
    calls: dict[str, ToolCall] = {}
    waiting: list[Part] = []
    for part in message.parts:
        if not _is_ours(part):
            waiting.append(part)
            continue
        assert isinstance(part, Opaque)
        if part.kind == "server_tool_use":
            given = part.value.get("input")
            identifier = str(part.value.get("id"))
            calls[identifier] = ToolCall(identifier, name, dump(given if isinstance(given, dict) else {}))
        elif (call := calls.pop(str(part.value.get("tool_use_id")), None)) is not None:
            yield replace(message, parts=(*waiting, call))
            result = ToolResult(call.id, (Text(_told(part.value.get("content"))),), name)
            yield Message("tool", (result,))
            waiting = []
    if waiting:
        yield replace(message, parts=tuple(waiting))


def _is_ours(part: Part) -> bool:
    if not isinstance(part, Opaque):
        return False
    match part.kind:
        case "server_tool_use" | "web_search_call":
            return str(part.value.get("id")).startswith((_ID, _ITEM_ID))
        case "web_search_tool_result":
            return str(part.value.get("tool_use_id")).startswith(_ID)
        case _:
            return False


def _told(content: Any) -> str:
    if not isinstance(content, list):
        return "the search failed"
    pages = [one for one in content if isinstance(one, Mapping)]
    told = [
        f"{one.get('title')}\n{one.get('url')}\n{_decoded(one.get('encrypted_content'))}" for one in pages
    ]
    return "\n\n".join(told) or "nothing was found"


def _decoded(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(MARK):
        return ""
    try:
        return base64.b64decode(value.removeprefix(MARK)).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""
