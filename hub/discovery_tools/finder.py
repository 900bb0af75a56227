"""`find_tools`, `describe_tool` and `call_tool` on the view of one caller."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from hub.catalog import Item, View
from hub.discovery_tools.definitions import MOST_FOUND, USUALLY_FOUND
from hub.discovery_tools.index import Found, ToolIndex
from hub.settings.mcp import CALL, DESCRIBE, FIND, RESERVED_TOOL_NAMES

_SHORT_DESCRIPTION = 240
_MOST_ARGUMENTS = 12

Result = dict[str, Any]
States = Sequence[tuple[str, str]]
"""`(server, its state)` of servers that are not up."""


class Misused(Exception):
    """A call with wrong arguments; says what to do instead."""


class Finder:
    """Of one endpoint. The index is made when it is first asked for, and anew for another view."""

    def __init__(self) -> None:
        self._index: ToolIndex | None = None
        self._indexed: View | None = None
        self._building = asyncio.Lock()

    async def answer(
        self, params: Mapping[str, Any], view: View, whole: View, not_up: States
    ) -> Result | None:
        """To a `tools/call` of one of the three. None: it is a right `call_tool`, to be passed on as `meant`.

        `view` is the caller's part of the endpoint's `whole` one.
        """
        arguments = params.get("arguments") or {}
        try:
            match params["name"]:
                case str(name) if name == FIND:
                    return await self._find(arguments, view, whole, not_up)
                case str(name) if name == DESCRIBE:
                    return _describe(arguments, view)
                case _:
                    _called(params, view)
                    return None
        except Misused as misused:
            # Not a protocol error: this way the model hears of it, and can do better.
            return {"content": [_block(str(misused))], "isError": True}

    async def _find(self, arguments: Mapping[str, Any], view: View, whole: View, not_up: States) -> Result:
        query = _text(arguments, "query")
        server = _text(arguments, "server")
        limit = _number(arguments, "limit", 1, MOST_FOUND, USUALLY_FOUND)
        offset = _number(arguments, "offset", 0, 1_000_000, 0)
        if not query and not server:
            raise Misused("give a `query`, a `server`, or both")
        if server and server not in view.uris:
            raise Misused(f"there is no server `{server}`. {_servers(view)}")
        found = Found()
        if query:
            found, ranked = await self._search(query, whole)
            seen = set(map(id, view.tools))
            items = [item for item in ranked if id(item) in seen]
            missed = [item for item in ranked if id(item) not in seen]
        else:
            items, missed = list(view.tools), []
        items = [item for item in items if server in ("", item.server)]
        missed = [item for item in missed if server in ("", item.server)]
        page = items[offset : offset + limit]
        notes = [
            *_misread(found),
            *_hidden(missed, view),
            *([] if items else [_servers(view)]),
            *_missing([(name, state) for name, state in not_up if server in ("", name)]),
        ]
        return _told(page, len(items), offset, _wanted(query, server), notes)

    async def _search(self, query: str, whole: View) -> tuple[Found, list[Item]]:
        tools = [*whole.tools, *(hidden.item for hidden in whole.hidden)]
        async with self._building:
            if self._index is None or self._indexed is not whole:
                definitions = [item.definition for item in tools]
                self._index = await asyncio.to_thread(ToolIndex, definitions)
                self._indexed = whole
            index = self._index
        found = await asyncio.to_thread(index.search, query)
        return found, [tools[place] for place in found.places]


def is_asked(params: Mapping[str, Any], view: View) -> bool:
    """Whether a `tools/call` is of one of the three, on an endpoint that has them.

    With `auto` they can be called while all tools are listed, too: the client may not have noticed yet.
    """
    return view.discovery.discovery != "all" and params["name"] in RESERVED_TOOL_NAMES


def meant(params: Mapping[str, Any], view: View) -> Mapping[str, Any]:
    """The `tools/call` itself, or the one that a `call_tool` means."""
    return _called(params, view) if is_asked(params, view) else params


def _describe(arguments: Mapping[str, Any], view: View) -> Result:
    definition = _named(arguments, view).definition
    return {"content": [_block(json.dumps(definition, ensure_ascii=False))], "structuredContent": definition}


def _called(params: Mapping[str, Any], view: View) -> Mapping[str, Any]:
    arguments = params.get("arguments") or {}
    item = _named(arguments, view)
    inner = arguments.get("arguments")
    if isinstance(inner, str):  # as some models write what is an object
        try:
            inner = json.loads(inner or "{}")
        except ValueError:
            inner = ()
    if inner is not None and not isinstance(inner, dict):
        raise Misused(f"`arguments` must be an object with the arguments of {item.public}")
    return {**params, "name": item.public, "arguments": inner or {}}


def _named(arguments: Mapping[str, Any], view: View) -> Item:
    name = _text(arguments, "name")
    if not name:
        raise Misused(f"`name` must be a tool's name, as {FIND} says it")
    item = view.tool_by_name.get(name)
    if item is None:
        near = get_close_matches(name, view.tool_by_name, n=3, cutoff=0.6)
        instead = f"Did you mean {' or '.join(near)}?" if near else f"Look for it with {FIND}."
        raise Misused(f"there is no tool `{name}` for you. {instead}")
    return item


def _told(page: Sequence[Item], total: int, offset: int, wanted: str, notes: Sequence[str]) -> Result:
    tools = [
        {
            "name": item.public,
            "server": item.server,
            "description": _first_words(str(item.definition.get("description") or "")),
            "arguments": _arguments(item.definition.get("inputSchema")),
        }
        for item in page
    ]
    lines = [f"{tool['name']}({tool['arguments']}): {tool['description']}" for tool in tools]
    if not total:
        head = f"No tool {wanted}."
    elif not page:
        head = f"{total} tools {wanted}, so an offset of {offset} passes over all."
    else:
        until = offset + len(page)
        part = "" if len(page) == total else f", here {offset + 1} to {until}"
        head = f"{total} {'tool' if total == 1 else 'tools'} {wanted}{part} (* is a required argument):"
    end = [f"{DESCRIBE} gives the full schema of one, {CALL} calls it."] if page else []
    structured = {"tools": tools, "total": total, **({"notes": list(notes)} if notes else {})}
    return {
        "content": [_block("\n".join((head, *lines, *notes, *end)))],
        "structuredContent": structured,
    }


def _wanted(query: str, server: str) -> str:
    said = f'for "{query}"' if query else ""
    return " ".join(filter(None, (said, f"of server {server}" if server else "")))


def _misread(found: Found) -> list[str]:
    read_as: dict[str, list[str]] = {}
    for word, other in found.read_as:
        read_as.setdefault(word, []).append(f'"{other}"')
    notes = [f'No tool has the word "{word}"; taken as {" or ".join(o)}.' for word, o in read_as.items()]
    if found.unknown:
        words = ", ".join(f'"{word}"' for word in found.unknown)
        notes.append(f"No tool has {words}, nor a word like it.")
    return notes


def _hidden(missed: Sequence[Item], view: View) -> list[str]:
    """How many more would match. Not which: that is what hiding is for."""
    if not missed:
        return []
    reasons = {(hidden.item.server, hidden.item.original): hidden.reason for hidden in view.hidden}
    counts = Counter(reasons.get((item.server, item.original), "the key") for item in missed)
    told = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    return [f"{len(missed)} more would match, but you may not use them (hidden by: {told})."]


def _servers(view: View) -> str:
    counts = Counter(item.server for item in view.tools)
    told = ", ".join(f"{name} ({counts[name]})" for name in view.uris if counts[name])
    return f"There are tools of these servers: {told}." if told else "There are no tools just now."


def _missing(not_up: States) -> list[str]:
    if not not_up:
        return []
    told = ", ".join(f"{name} ({state})" for name, state in not_up)
    return [f"Tools of these servers cannot be found, because they are not up: {told}."]


def _arguments(schema: object) -> str:
    """`path*: string, head: integer`."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return ""
    listed = schema.get("required") if isinstance(schema, Mapping) else None
    required = listed if isinstance(listed, list) else []
    names = sorted(properties, key=lambda name: name not in required)
    told = [
        f"{name}{'*' if name in required else ''}{_type(properties[name])}"
        for name in names[:_MOST_ARGUMENTS]
    ]
    return ", ".join((*told, *(["…"] if len(names) > _MOST_ARGUMENTS else [])))


def _type(schema: object) -> str:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(kind, list):
        kind = " | ".join(map(str, kind))
    return f": {kind}" if isinstance(kind, str) else ""


def _first_words(description: str) -> str:
    text = " ".join(description.split())
    return text if len(text) <= _SHORT_DESCRIPTION else text[:_SHORT_DESCRIPTION].rsplit(" ", 1)[0] + " …"


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Misused(f"`{name}` must be a text")
    return value.strip()


def _number(arguments: Mapping[str, Any], name: str, low: int, high: int, usual: int) -> int:
    value = arguments.get(name)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise Misused(f"`{name}` must be a whole number")
    return min(max(int(value), low), high)


def _block(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
