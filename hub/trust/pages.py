"""Results that are too large for one piece: what is shown, and the rest to be read on request.

Text is cut between characters. Binary content cannot be cut, so it is left out by name. The rest is kept
for a while under an address that cannot be guessed, for the same key of the hub alone.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

READ_MORE = "hub_read_more"
"""The tool that reads the rest, offered where a server's results may be cut."""
ADDRESS = "hub:rest/"
"""Of the rest as a resource. No server's public URI begins like this (they begin with `hub://` or `ui://`)."""
CUT_META = "hub/cut"

DEFINITION: dict[str, Any] = {
    "name": READ_MORE,
    "title": "Read the rest of a result",
    "description": "Reads on in a result that the hub cut because it was too large; it names the token.",
    "inputSchema": {
        "type": "object",
        "properties": {"token": {"type": "string", "description": "As the cut result has it."}},
        "required": ["token"],
    },
    "annotations": {"readOnlyHint": True, "destructiveHint": False, "openWorldHint": False},
}

_KEPT_SECONDS = 900.0
_MOST_CHARACTERS = 32_000_000
"""Of all rests together; the oldest go first."""

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Rest:
    text: str
    limit: int
    owner: str
    expires: float


class Pages:
    """`cut` a result, then `read` what was left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rests: OrderedDict[str, _Rest] = OrderedDict()

    def cut(self, tool: str, result: Result, limit: int, owner: str, *, typed: bool = False) -> Result:
        """`result` itself where it is no larger than `limit` bytes, else what fits and how to get the rest.

        A `typed` tool promises structured content. Without it, where that does not fit, the result is an
        error, so that nobody takes it for the promised one.
        """
        size = _size(result)
        if size <= limit:
            return result
        cutter = _Cutter(limit)
        blocks = result.get("content")
        kept = [block for each in blocks or () for block in cutter.block(each)]
        structured = result.get("structuredContent")
        if structured is not None and not cutter.fits(_size(structured)):
            if not kept and not cutter.rest:
                kept = list(
                    cutter.block({"type": "text", "text": json.dumps(structured, ensure_ascii=False)})
                )
            cutter.left_out.append(f"structured content of {_size(structured):,} bytes")
            result = {key: value for key, value in result.items() if key != "structuredContent"}
            result |= {"isError": True} if typed else {}
        meta: dict[str, Any] = {"bytes": size}
        says = f"[The hub cut this result of {tool}, which has {size:,} bytes: the limit is {limit:,}"
        if cutter.left_out:
            says += f". Left out: {', '.join(cutter.left_out)}"
        if cutter.rest:
            token = self._keep("".join(cutter.rest), limit, owner)
            meta["rest"] = ADDRESS + token
            says += f". {_how(token)}"
        note = {"type": "text", "text": f"{says}.]"}
        given = result.get("_meta") or {}
        given = given if _size(given) <= limit else {}
        return {**result, "content": [*kept, note], "_meta": {**given, CUT_META: meta}}

    def read(self, token: str, owner: str) -> tuple[str, str | None]:
        """A piece, and the token of the next one. Raises MCPError for what is not there (any more)."""
        name, _, at = token.removeprefix(ADDRESS).partition("/")
        rest = self._rests.get(name)
        if (
            rest is None
            or rest.owner != owner
            or rest.expires < self._clock()
            or not at.isascii()
            or not at.isdigit()
        ):
            raise MCPError(
                INVALID_PARAMS,
                f"there is no rest of a result under {token!r} (any more); call the tool again",
            )
        begin = int(at)
        piece = _head(rest.text[begin : begin + rest.limit], rest.limit)
        end = begin + len(piece)
        return piece, f"{name}/{end}" if end < len(rest.text) and piece else None

    def as_tool(self, arguments: Mapping[str, Any], owner: str) -> Result:
        piece, following = self.read(str(arguments.get("token")), owner)
        blocks = [{"type": "text", "text": piece}]
        if following is not None:
            blocks.append({"type": "text", "text": f"[{_how(following)}.]"})
        return {"content": blocks, "isError": False}

    def as_resource(self, uri: str, owner: str) -> Result:
        piece, following = self.read(uri, owner)
        entry: dict[str, Any] = {"uri": uri, "mimeType": "text/plain", "text": piece}
        if following is not None:
            entry["_meta"] = {CUT_META: {"rest": ADDRESS + following}}
        return {"contents": [entry]}

    def _keep(self, text: str, limit: int, owner: str) -> str:
        now = self._clock()
        name = secrets.token_urlsafe(16)
        self._rests[name] = _Rest(text, limit, owner, now + _KEPT_SECONDS)
        for old, rest in list(self._rests.items()):
            if rest.expires < now:
                del self._rests[old]
        while (
            len(self._rests) > 1 and sum(len(rest.text) for rest in self._rests.values()) > _MOST_CHARACTERS
        ):
            self._rests.popitem(last=False)
        return f"{name}/0"


class _Cutter:
    """Fills what there is room for, in the order of the blocks."""

    def __init__(self, room: int) -> None:
        self._room = room
        self.rest: list[str] = []
        self.left_out: list[str] = []

    def fits(self, size: int) -> bool:
        """Take room for something that cannot be cut."""
        if size > self._room:
            return False
        self._room -= size
        return True

    def block(self, block: Any) -> tuple[Any, ...]:
        """What is kept of a content block: it, its beginning, or nothing."""
        if not isinstance(block, Mapping):
            return (block,)
        kind = block.get("type")
        resource = block.get("resource")
        if kind == "text" and isinstance(block.get("text"), str):
            return self._text(block, block["text"])
        if kind in ("image", "audio"):
            return self._whole(
                block, f"{block.get('mimeType', kind)} of {_decoded(block.get('data')):,} bytes"
            )
        if kind == "resource" and isinstance(resource, Mapping):
            if isinstance(text := resource.get("text"), str):
                if not self.rest and self.fits(_size(block)):
                    return (block,)
                self.rest.append(f"\n\n[{resource.get('uri')}]\n{text}")
                return ()
            what = f"{resource.get('mimeType', 'binary')} {resource.get('uri')}"
            return self._whole(block, f"{what} of {_decoded(resource.get('blob')):,} bytes")
        return self._whole(block, f"a block of the type {kind}")

    def _text(self, block: Mapping[str, Any], text: str) -> tuple[Any, ...]:
        if self.rest:
            self.rest.append(f"\n\n{text}")
            return ()
        head = _head(text, self._room)
        self._room -= len(head.encode("utf-8", "replace"))
        if len(head) < len(text):
            self.rest.append(text[len(head) :])
        return ({**block, "text": head},) if head or not text else ()

    def _whole(self, block: Mapping[str, Any], what: str) -> tuple[Any, ...]:
        if self.fits(_size(block)):
            return (block,)
        self.left_out.append(what)
        return ()


def _how(token: str) -> str:
    return (
        f"The rest: call the tool {READ_MORE} with the token {token!r}, "
        f"or read the resource {ADDRESS}{token}, within {_KEPT_SECONDS / 60:g} minutes"
    )


def _head(text: str, room: int) -> str:
    """As much of the beginning as `room` bytes of UTF-8 hold."""
    return text[: max(room, 0)].encode("utf-8", "replace")[: max(room, 0)].decode("utf-8", "ignore")


def _decoded(data: Any) -> int:
    return len(data) * 3 // 4 if isinstance(data, str) else 0


def _size(value: Any) -> int:
    """Bytes as JSON."""
    try:
        return len(orjson.dumps(value))
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return len(json.dumps(value))
