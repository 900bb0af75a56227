"""Everybody who is to hear of chat and tool calls: metrics, usage, the log, budgets."""

from __future__ import annotations

from hub.usage.records import ToolRecord, ToolSink
from routing.usage import Record, Sink


class Calls:
    """`take` and `take_tool` are sinks that pass on to all others, on the event loop."""

    def __init__(self) -> None:
        self._chats: list[Sink] = []
        self._tools: list[ToolSink] = []

    def tell(self, chats: Sink | None = None, tools: ToolSink | None = None) -> None:
        """Let one more hear of every chat, or tool call, from now on."""
        if chats is not None:
            self._chats.append(chats)
        if tools is not None:
            self._tools.append(tools)

    def take(self, record: Record) -> None:
        for sink in self._chats:
            sink(record)

    def take_tool(self, record: ToolRecord) -> None:
        for sink in self._tools:
            sink(record)
