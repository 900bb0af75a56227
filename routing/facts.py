"""What rules may ask about a request. Each fact is found out when first asked for, and once.

`model`, `protocol`, headers and mostly `stream` are known at once. The others need the request decoded,
which a converted request needs anyway (a tenth of a millisecond for 100 KB). None: it cannot be known,
because the request is no chat or cannot be read; no condition on it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

from adapters import tokens
from adapters.canonical import ChatRequest, Media, Part, ProviderTool, ToolResult
from adapters.errors import AdapterError
from adapters.reasoning import effort_of
from routing import signs
from routing.call import Call
from routing.changes import tool_name
from routing.signs import Sign

_NO_SIGN = Sign(False, "")


class Facts:
    """`read` decodes the request; None: it is no chat. `stream` is what path and body say of it."""

    def __init__(
        self, call: Call, model: str, stream: bool | None, read: Callable[[], ChatRequest] | None
    ) -> None:
        self.model = model
        self._call = call
        self._stream = stream
        self._read = read
        self.unreadable = ""
        """Why the request could not be read; "" as long as nothing speaks against it."""

    @cached_property
    def request(self) -> ChatRequest | None:
        if self._read is None:
            return None
        try:
            return self._read()
        except (AdapterError, RecursionError) as error:
            self.unreadable = str(error)
            return None

    @property
    def protocol(self) -> str:
        return self._call.codec.name

    @cached_property
    def stream(self) -> bool | None:
        if self._stream is not None:
            return self._stream
        return None if self.request is None else self.request.stream

    @cached_property
    def tokens(self) -> int | None:
        """Estimated tokens of the whole input, as `adapters.tokens` estimates."""
        return None if self.request is None else tokens.of_request(self.request)

    @cached_property
    def images(self) -> bool | None:
        return None if self.request is None else "image" in self._media

    @cached_property
    def documents(self) -> bool | None:
        return None if self.request is None else "document" in self._media

    @cached_property
    def _media(self) -> frozenset[str]:
        """The kinds of media anywhere in the conversation, results of tools included."""
        assert self.request is not None
        found: set[str] = set()
        _collect(self.request.instructions, found)
        for message in self.request.messages:
            _collect(message.parts, found)
        return frozenset(found)

    @cached_property
    def effort(self) -> str | None:
        """How hard it shall think, as an effort; a budget in tokens counts as the nearest. None: unsaid."""
        return None if self.request is None else effort_of(self.request.reasoning)

    @cached_property
    def thinking(self) -> bool | None:
        return None if self.request is None else self.effort not in (None, "none")

    @cached_property
    def tools(self) -> tuple[str, ...] | None:
        """The names of the tools that the model may call."""
        return None if self.request is None else tuple(tool_name(each) for each in self.request.tools)

    @cached_property
    def web_search(self) -> bool | None:
        """Whether it is a search: no other tool is given than the provider's own.

        Codex gives it beside the others in every request, which says nothing of this one.
        """
        if self.request is None:
            return None
        tools = self.request.tools
        return bool(tools) and all(isinstance(each, ProviderTool) and _is_search(each) for each in tools)

    @cached_property
    def background_sign(self) -> Sign:
        if self._read is None:
            return _NO_SIGN
        by_name = signs.background(self.model, self._call.client, self._call.headers, None)
        if by_name.why:
            return by_name
        return signs.background(self.model, self._call.client, self._call.headers, self.request)

    @property
    def background(self) -> bool | None:
        return self.background_sign.present

    @cached_property
    def subagent_sign(self) -> Sign:
        by_headers = signs.subagent(self._call.headers, None)
        return by_headers if by_headers.why else signs.subagent(self._call.headers, self.request)

    @property
    def subagent(self) -> bool | None:
        return self.subagent_sign.present

    @cached_property
    def marker(self) -> str | None:
        return None if self.request is None else signs.marker(self.request)

    def header(self, name: str) -> str | None:
        value = self._call.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")


def _collect(parts: Iterable[Part], found: set[str]) -> None:
    for part in parts:
        if isinstance(part, Media):
            found.add(part.kind)
        elif isinstance(part, ToolResult):
            _collect(part.content, found)


def _is_search(tool: ProviderTool) -> bool:
    """`web_search_20250305`, `web_search_preview`, `googleSearch`, `google_search`."""
    kind = tool.kind.lower().replace("_", "")
    return kind.startswith(("websearch", "googlesearch"))
