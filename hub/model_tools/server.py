"""The hub's own tools: ask a group, compare groups, list them, switch, explain. No process is behind them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND

from adapters.canonical import Base64Source, ChatRequest, Usage
from hub.downstream.calls import Caller
from hub.downstream.listing import Listing
from hub.model_tools.definitions import COMPARE, EXPLAIN, LIST, SWITCH, ask_names, definitions
from hub.model_tools.questions import known_only, question
from routing.ask import AskFailed, OnText, Said
from routing.resolve import known
from routing.table import Group, Table

SERVER_NAME = "hub"
_PROGRESS_SECONDS = 0.2
"""Between two reports of an answer that is on its way."""

Result = dict[str, Any]


class Models(Protocol):
    """What the tools need of the gateway."""

    @property
    def table(self) -> Table: ...

    @property
    def active_group(self) -> str | None: ...

    def switch(self, group: str) -> None: ...

    async def ask(self, group: str, request: ChatRequest, caller: Caller, on_text: OnText | None) -> Said:
        """Raises AskFailed."""
        ...

    def cost(self, said: Said) -> float | None: ...

    def explain(self, table: Table, group: str | None, request: ChatRequest) -> str:
        """Raises AskFailed."""
        ...


class ModelTools:
    """A virtual MCP server. A caller sees and uses the groups that its profile and key allow."""

    def __init__(self) -> None:
        self.listing = Listing()
        self.models: Models
        """Has to be set before the first request."""

    def offer(self, groups: Iterable[Group]) -> bool:
        """List the tools of these groups from now on. Returns whether that is another list than before."""
        before = self.listing.tools
        self.listing = Listing(tools=definitions(groups), capabilities={"tools": {"listChanged": True}})
        return self.listing.tools != before

    async def request(self, method: str, params: Mapping[str, Any], caller: Caller) -> Result:
        """Raises MCPError for what is no call of one of the tools, or has wrong arguments."""
        if method != "tools/call":
            raise MCPError(METHOD_NOT_FOUND, f"the hub's own tools have no {method}", method)
        table = self.models.table
        if caller.groups is not None:
            groups = {name: group for name, group in table.groups.items() if name in caller.groups}
            table = Table(groups, table.default_group if table.default_group in groups else None)
        name, arguments = str(params.get("name")), params.get("arguments") or {}
        definition = next((tool for tool in self.listing.tools if tool["name"] == name), None)
        if definition is None:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {name}")
        known_only(arguments, definition["inputSchema"]["properties"])
        match name:
            case _ if name == COMPARE:
                return await self._compare(table, arguments, caller)
            case _ if name == LIST:
                return self._list(table)
            case _ if name == SWITCH:
                return self._switch(table, arguments, caller)
            case _ if name == EXPLAIN:
                return self._explain(table, arguments)
            case _:
                group = dict(zip(ask_names(self.models.table.groups), self.models.table.groups, strict=True))[
                    name
                ]
                return await self._ask(table, group, arguments, caller)

    # ------------------------------------------------------------ asking

    async def _ask(self, table: Table, group: str, arguments: Mapping[str, Any], caller: Caller) -> Result:
        _group(table, group)
        request = question(group, arguments)
        progress = _Progress(caller) if caller.wants_progress else None
        try:
            said = await self.models.ask(
                group, request, caller, progress.take if progress is not None else None
            )
        except AskFailed as failed:
            return _failed(failed.error.message)
        if progress is not None:
            await progress.finish()
        result: Result = {"content": _content(said), "_meta": self._meta(said)}
        if request.output_format is not None:
            structured = _object(said.text)
            if structured is None:
                message = f"the model's answer is not a JSON object as the schema wants it:\n{said.text}"
                return {**_failed(message), "_meta": result["_meta"]}
            result["structuredContent"] = structured
        return result

    async def _compare(self, table: Table, arguments: Mapping[str, Any], caller: Caller) -> Result:
        wanted = arguments.get("groups")
        if wanted is not None and not (isinstance(wanted, list) and wanted):
            raise MCPError(INVALID_PARAMS, "`groups` must be a list of names, and not empty")
        names = list(dict.fromkeys(map(str, wanted))) if wanted is not None else list(table.groups)
        for name in names:
            _group(table, name)
        asked = {key: value for key, value in arguments.items() if key != "groups"}
        answers = await asyncio.gather(*(self._one_of_several(name, asked, caller) for name in names))
        text = "\n\n".join(f"## {each['group']}\n\n{each.get('text') or each['error']}" for each in answers)
        return {
            "content": [{"type": "text", "text": text}],
            "structuredContent": {"answers": answers},
            "isError": all("error" in each for each in answers),
        }

    async def _one_of_several(
        self, group: str, arguments: Mapping[str, Any], caller: Caller
    ) -> dict[str, Any]:
        request = question(group, arguments)
        began = time.monotonic()
        try:
            said = await self.models.ask(group, request, caller, None)
        except AskFailed as failed:
            return {"group": group, "error": failed.error.message}
        seconds = round(time.monotonic() - began, 3)
        return {"group": group, "text": said.text, "seconds": seconds, **self._meta(said, prefix="")}

    def _meta(self, said: Said, prefix: str = "hub/") -> dict[str, Any]:
        cost = self.models.cost(said)
        told = {
            "group": said.group,
            "target": said.target,
            "usage": _usage(said.response.usage),
            "cost": cost,
            "losses": list(said.losses) or None,
            "stop_reason": said.response.choices[0].finish.unified if said.response.choices else None,
            "request_id": said.request_id,
        }
        return {prefix + key: value for key, value in told.items() if value is not None}

    # ------------------------------------------------------------ the rest

    def _list(self, table: Table) -> Result:
        models: list[dict[str, Any]] = []
        lines: list[str] = []
        for group in table.groups.values():
            active = group.name == self.models.active_group
            targets = [f"{target.provider.name}/{target.model or '*'}" for target in group.targets]
            models.append(
                {"group": group.name, "description": group.description, "targets": targets, "active": active}
            )
            told = group.description or ", ".join(targets)
            lines.append(f"{group.name}{' (active)' if active else ''}: {told}")
        return {
            "content": [{"type": "text", "text": "\n".join(lines)}],
            "structuredContent": {"models": models},
        }

    def _switch(self, table: Table, arguments: Mapping[str, Any], caller: Caller) -> Result:
        if not caller.may_switch:
            return _failed("this key has limits, so it may not choose the active group for everybody")
        name = str(arguments.get("group", ""))
        _group(table, name)
        self.models.switch(name)
        return {"content": [{"type": "text", "text": f"The active group is {name}."}]}

    def _explain(self, table: Table, arguments: Mapping[str, Any]) -> Result:
        name = arguments.get("group")
        if name is not None:
            _group(table, str(name))
        asked = {key: value for key, value in arguments.items() if key != "group"}
        try:
            text = self.models.explain(table, name, question(str(name or ""), asked))
        except AskFailed as failed:
            return _failed(failed.error.message)
        return {"content": [{"type": "text", "text": text}]}


class _Progress:
    """Tells the caller what the model has said so far, a few times in a second."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._pieces: list[str] = []
        self._told = 0
        self._next = 0.0

    async def take(self, text: str) -> None:
        self._pieces.append(text)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PROGRESS_SECONDS
            await self.finish()

    async def finish(self) -> None:
        message = "".join(self._pieces)
        if not message:
            return
        self._pieces.clear()
        self._told += len(message)
        await self._caller.notify("notifications/progress", {"progress": self._told, "message": message})


def _group(table: Table, name: str) -> Group:
    group = table.groups.get(name)
    if group is None:
        raise MCPError(INVALID_PARAMS, f"there is no group `{name}`. {known(name, table.groups)}")
    return group


def _content(said: Said) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if said.text or not said.media:
        blocks.append({"type": "text", "text": said.text})
    for media in said.media:
        if isinstance(media.source, Base64Source) and media.kind in ("image", "audio"):
            blocks.append({"type": media.kind, "data": media.source.data, "mimeType": media.media_type})
    return blocks


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        key: value
        for key, value in asdict(usage).items()
        if key != "extensions" and value is not None and (key != "estimated" or value)
    }


def _failed(message: str) -> Result:
    return {"content": [{"type": "text", "text": message}], "isError": True}
