"""A downstream server with one of everything, over stdio, Streamable HTTP or SSE, in either era.

python everything.py stdio [--era legacy|modern] [--delay SECONDS] [--prefix NAME]
python everything.py http|sse --port PORT [--era legacy|modern]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.runner import serve_loop
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

Context = ServerRequestContext[Any, Any]

VERBATIM_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"point": {"$anchor": "point", "type": "object", "properties": {"x": {"type": "number"}}}},
    "properties": {"at": {"$ref": "#/$defs/point"}, "near": {"$ref": "#point"}},
    "x-vendor": {"keep": [1, 2, {"deep": None}]},
}
LONG_NAME = "a_tool_with_a_name_that_is_exactly_as_long_as_a_client_can_take_it"
NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
LINK_RESULT: dict[str, Any] = {
    "content": [
        {
            "type": "text",
            "text": "see",
            "annotations": {"audience": ["user"], "priority": 0.5},
            "_meta": {"k": 1},
        },
        {"type": "resource_link", "name": "static", "uri": "test://static", "mimeType": "text/plain"},
        {
            "type": "resource",
            "resource": {"uri": "test://dyn/7", "text": "embedded 7", "mimeType": "text/plain"},
        },
        {"type": "image", "data": "aGk=", "mimeType": "image/png"},
    ],
    "structuredContent": {"nested": {"uri": "test://static", "n": [1, 2.5, "drei"]}},
    "_meta": {"example.com/trace": "abc"},
    "isError": False,
}


TASKS = "io.modelcontextprotocol/tasks"
"""The extension of 2026-07-28."""
TASKS_OF_2025 = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
ICON = {"src": "https://example.com/icon.png", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}
BLOB = "AAECAwT/"
"""Bytes that are no text."""
MOMENT = "2026-07-28T00:00:00Z"


class Everything:
    tasks_of_2025: Mapping[str, Any] | None = TASKS_OF_2025
    """What a server that knows the handshake era alone says of tasks."""

    def __init__(self, era: str, prefix: str) -> None:
        self.era = era
        self.prefix = prefix
        self.extra: list[str] = []
        self.seen: list[dict[str, str]] = []
        self.started = 0
        self.cancelled = 0
        self.subscribed: list[str] = []
        self.legacy: dict[int, Connection] = {}
        self.extra_resources: list[str] = []
        self.extra_prompts: list[str] = []
        self.tasks: dict[str, dict[str, Any]] = {}
        self.bus = InMemorySubscriptionBus()
        self.server: Server[Any] = Server(
            prefix or "everything",
            version="1",
            instructions=f"how to use {prefix or 'everything'}",
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read,
            on_subscribe_resource=self.subscribe,
            on_unsubscribe_resource=self.unsubscribe,
            on_subscriptions_listen=ListenHandler(self.bus),
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
            on_completion=self.complete,
            get_tool_input_schema=lambda name: None,
        )
        if era == "legacy":
            self.server._request_handlers.pop("server/discover")
            self.server._request_handlers.pop("subscriptions/listen")
        else:
            self.server.extensions[TASKS] = {}
        self.server.middleware.append(self.middleware)

    async def middleware(self, ctx: Context, call_next: Any) -> Any:
        if isinstance(ctx.request, Request):
            self.seen.append({"method": ctx.method, **dict(ctx.request.headers)})
        connection = ctx.session._connection
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS and id(connection) not in self.legacy:
            self.legacy[id(connection)] = connection
            connection.exit_stack.callback(self.legacy.pop, id(connection), None)
        if (answer := self.about_tasks(ctx)) is not None:
            return answer
        result = await call_next(ctx)
        if ctx.method == "initialize" and self.era == "legacy" and self.tasks_of_2025 is not None:
            result["capabilities"]["tasks"] = self.tasks_of_2025
        return result

    def about_tasks(self, ctx: Context) -> dict[str, Any] | None:
        """Tasks of both eras, past the SDK, which has neither: the client of 2025 asks for one in its call, a
        server of 2026 makes one if the client can ask after it."""
        params = dict(ctx.params or {})
        modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        if ctx.method == "tools/call" and params.get("name") == "task":
            capabilities = ctx.session.client_capabilities
            can_wait = modern and TASKS in ((capabilities and capabilities.extensions) or {})
            if not can_wait and (modern or "task" not in params):
                return None
            name = f"task-{len(self.tasks) + 1}"
            task = {"taskId": name, "status": "working", "createdAt": MOMENT, "lastUpdatedAt": MOMENT}
            self.tasks[name] = (
                {**task, "ttlMs": 60000, "pollIntervalMs": 10} if modern else {**task, "ttl": 60000}
            )
            return {"resultType": "task", **self.tasks[name]} if modern else {"task": self.tasks[name]}
        if not ctx.method.startswith("tasks/"):
            return None
        if ctx.method == "tasks/list":
            return {"tasks": [*self.tasks.values()]}
        task = self.tasks.get(params["taskId"])
        if task is None:
            raise MCPError(types.INVALID_PARAMS, f"no task {params['taskId']}")
        return self.task_answer(ctx.method, task, params, modern)

    def task_answer(self, method: str, task: dict[str, Any], params: dict[str, Any], modern: bool) -> Any:
        link = {"type": "resource_link", "name": "static", "uri": "test://static"}
        match method:
            case "tasks/cancel":
                task["status"] = "cancelled"
                return {"resultType": "complete"} if modern else task
            case "tasks/update":
                task |= {
                    "status": "completed",
                    "result": {"content": [link], "structuredContent": params["inputResponses"]},
                }
                return {"resultType": "complete"}
            case "tasks/result":
                task["status"] = "completed"
                related = {"io.modelcontextprotocol/related-task": {"taskId": task["taskId"]}}
                return {"content": [link], "_meta": related}
            case _ if modern and task["status"] == "working":
                schema = {"type": "object", "properties": {"name": {"type": "string"}}}
                question = {"mode": "form", "message": "your name?", "requestedSchema": schema}
                asked = {"q": {"method": "elicitation/create", "params": question}}
                return {"resultType": "complete", **task, "status": "input_required", "inputRequests": asked}
            case _:
                return {"resultType": "complete", **task} if modern else task

    def tools(self) -> list[dict[str, Any]]:
        described = {
            "echo": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
            "verbatim": VERBATIM_SCHEMA,
        }
        names = (
            "echo", "verbatim", "env", "pid", "headers", "progress", "log", "slow", "cancelled", "link",
            "ask", "roots", "sample", "capabilities", "add_tool", "remove_tool", "touch", "subscriptions",
            "fail", "meta", "task", "add_resource", "remove_resource", "add_prompt", "remove_prompt",
            LONG_NAME,
        )  # fmt: skip
        return [
            {
                "name": name,
                "title": f"The {name} tool",
                "description": f"{name} of {self.prefix}",
                "inputSchema": described.get(name, NOTHING),
                "annotations": {"readOnlyHint": name in ("pid", "echo"), "destructiveHint": False},
                "icons": [ICON],
                "_meta": {"example.com/vendor": {"n": 1}},
            }
            for name in (*names, *self.extra)
        ]

    async def list_tools(self, ctx: Context, params: Any) -> types.ListToolsResult:
        # Two pages, so that everybody who reads only the first one is found out.
        tools = self.tools()
        half = len(tools) // 2
        if params is not None and params.cursor == "second":
            page, cursor = tools[half:], None
        else:
            page, cursor = tools[:half], "second"
        return types.ListToolsResult.model_validate({"tools": page, "nextCursor": cursor})

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        method = getattr(self, f"tool_{params.name}", None)
        if method is None:
            if params.name in self.extra or params.name == LONG_NAME:
                return text(f"ran {params.name}")
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}", {"from": self.prefix})
        return await method(ctx, params.arguments or {}, params)

    async def tool_echo(self, ctx: Context, arguments: Any, params: Any) -> Any:
        return text(f"{self.prefix}{arguments['text']}")

    async def tool_verbatim(self, ctx: Context, arguments: Any, params: Any) -> Any:
        return text(json.dumps(arguments, sort_keys=True))

    async def tool_env(self, ctx: Context, arguments: Any, params: Any) -> Any:
        return text(json.dumps(dict(os.environ)))

    async def tool_pid(self, ctx: Context, arguments: Any, params: Any) -> Any:
        return text(str(os.getpid()))

    async def tool_headers(self, ctx: Context, arguments: Any, params: Any) -> Any:
        return text(json.dumps(self.seen))

    async def tool_meta(self, ctx: Context, arguments: Any, params: Any) -> Any:
        return text(json.dumps(dict(ctx.meta or {}), default=str))

    async def tool_progress(self, ctx: Context, arguments: Any, params: Any) -> Any:
        steps = int(arguments.get("steps", 3))
        for step in range(1, steps + 1):
            await ctx.session.report_progress(step, steps, f"step {step}")
        return text("done")

    async def tool_log(self, ctx: Context, arguments: Any, params: Any) -> Any:
        for level in ("debug", "warning"):
            note = types.LoggingMessageNotification(
                params=types.LoggingMessageNotificationParams(
                    level=level, data=f"{level} {arguments}", logger="t"
                )
            )
            await ctx.session.send_notification(note, related_request_id=ctx.request_id)
        return text("logged")

    async def tool_slow(self, ctx: Context, arguments: Any, params: Any) -> Any:
        self.started += 1
        try:
            await anyio.sleep(float(arguments.get("seconds", 30)))
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        return text("slept")

    async def tool_cancelled(self, ctx: Context, arguments: Any, params: Any) -> Any:
        return text(f"{self.cancelled} of {self.started}")

    async def tool_link(self, ctx: Context, arguments: Any, params: Any) -> Any:
        return types.CallToolResult.model_validate(LINK_RESULT)

    async def tool_fail(self, ctx: Context, arguments: Any, params: Any) -> Any:
        raise MCPError(-32055, "it is broken", {"why": ["a", 1]})

    async def question(self, ctx: Context, params: Any, request: dict[str, Any]) -> dict[str, Any] | Any:
        """Ask in the way of the era; a dict is the answer, anything else is to be returned."""
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            if params.input_responses and "q" in params.input_responses:
                answer = params.input_responses["q"]
                return answer if isinstance(answer, dict) else answer.model_dump(by_alias=True, mode="json")
            return types.InputRequiredResult.model_validate(
                {"resultType": "input_required", "inputRequests": {"q": request}, "requestState": "state-1"}
            )
        return await ctx.session._request_outbound.send_raw_request(request["method"], request.get("params"))

    async def tool_ask(self, ctx: Context, arguments: Any, params: Any) -> Any:
        schema = {"type": "object", "properties": {"name": {"type": "string"}}}
        request: dict[str, Any] = {
            "method": "elicitation/create",
            "params": {"mode": "form", "message": "your name?", "requestedSchema": schema},
        }
        if arguments.get("url"):
            request["params"] = {
                "mode": "url",
                "message": "log in",
                "url": arguments["url"],
                "elicitationId": "e-1",
            }
        answer = await self.question(ctx, params, request)
        return text(json.dumps(answer, sort_keys=True)) if isinstance(answer, Mapping) else answer

    async def tool_roots(self, ctx: Context, arguments: Any, params: Any) -> Any:
        answer = await self.question(ctx, params, {"method": "roots/list"})
        return text(json.dumps(answer, sort_keys=True)) if isinstance(answer, Mapping) else answer

    async def tool_sample(self, ctx: Context, arguments: Any, params: Any) -> Any:
        messages = [{"role": "user", "content": {"type": "text", "text": "hello"}}]
        request = {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": 5}}
        answer = await self.question(ctx, params, request)
        return text(json.dumps(answer, sort_keys=True)) if isinstance(answer, Mapping) else answer

    async def tool_capabilities(self, ctx: Context, arguments: Any, params: Any) -> Any:
        capabilities = ctx.session.client_capabilities
        found = (
            capabilities.model_dump(by_alias=True, mode="json", exclude_none=True) if capabilities else None
        )
        return text(json.dumps(found, sort_keys=True))

    async def tool_add_tool(self, ctx: Context, arguments: Any, params: Any) -> Any:
        self.extra.append(arguments["name"])
        await self.announce("notifications/tools/list_changed", ToolsListChanged())
        return text("added")

    async def tool_remove_tool(self, ctx: Context, arguments: Any, params: Any) -> Any:
        self.extra.remove(arguments["name"])
        await self.announce("notifications/tools/list_changed", ToolsListChanged())
        return text("removed")

    async def tool_task(self, ctx: Context, arguments: Any, params: Any) -> Any:
        return text("done at once")

    async def tool_add_resource(self, ctx: Context, arguments: Any, params: Any) -> Any:
        self.extra_resources.append(arguments["name"])
        await self.announce("notifications/resources/list_changed", ResourcesListChanged())
        return text("added")

    async def tool_remove_resource(self, ctx: Context, arguments: Any, params: Any) -> Any:
        self.extra_resources.remove(arguments["name"])
        await self.announce("notifications/resources/list_changed", ResourcesListChanged())
        return text("removed")

    async def tool_add_prompt(self, ctx: Context, arguments: Any, params: Any) -> Any:
        self.extra_prompts.append(arguments["name"])
        await self.announce("notifications/prompts/list_changed", PromptsListChanged())
        return text("added")

    async def tool_remove_prompt(self, ctx: Context, arguments: Any, params: Any) -> Any:
        self.extra_prompts.remove(arguments["name"])
        await self.announce("notifications/prompts/list_changed", PromptsListChanged())
        return text("removed")

    async def tool_touch(self, ctx: Context, arguments: Any, params: Any) -> Any:
        uri = arguments["uri"]
        await self.announce("notifications/resources/updated", ResourceUpdated(uri), {"uri": uri})
        return text("touched")

    async def tool_subscriptions(self, ctx: Context, arguments: Any, params: Any) -> Any:
        return text(json.dumps(self.subscribed))

    async def announce(self, method: str, event: Any, params: dict[str, Any] | None = None) -> None:
        for connection in list(self.legacy.values()):
            await connection.outbound.notify(method, params)
        await self.bus.publish(event)

    async def list_resources(self, ctx: Context, params: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult.model_validate(
            {
                "resources": [
                    {"name": "static", "uri": "test://static", "mimeType": "text/plain", "size": 6},
                    *({"name": name, "uri": f"test://dyn/{name}"} for name in self.extra_resources),
                ]
            }
        )

    async def list_templates(self, ctx: Context, params: Any) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult.model_validate(
            {"resourceTemplates": [{"name": "dynamic", "uriTemplate": "test://dyn/{id}"}]}
        )

    async def read(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        if uri == "test://dyn/binary":
            content = {"uri": uri, "blob": BLOB, "mimeType": "application/octet-stream"}
            hints = {"ttlMs": 5000, "cacheScope": "public"} if self.era == "modern" else {}
            return types.ReadResourceResult.model_validate({"contents": [content], **hints})
        if uri != "test://static" and not uri.startswith("test://dyn/"):
            raise MCPError(-32002, "Resource not found", {"uri": uri})
        return types.ReadResourceResult.model_validate(
            {"contents": [{"uri": uri, "text": f"{self.prefix} content of {uri}", "mimeType": "text/plain"}]}
        )

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        self.subscribed.append(str(params.uri))
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        self.subscribed.remove(str(params.uri))
        return types.EmptyResult()

    async def list_prompts(self, ctx: Context, params: Any) -> types.ListPromptsResult:
        return types.ListPromptsResult.model_validate(
            {
                "prompts": [
                    {
                        "name": "greet",
                        "description": "Greets",
                        "arguments": [{"name": "who", "required": True}],
                        "icons": [ICON],
                    },
                    *({"name": name} for name in self.extra_prompts),
                ]
            }
        )

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        who = (params.arguments or {}).get("who")
        link = {"type": "resource_link", "name": "static", "uri": "test://static"}
        return types.GetPromptResult.model_validate(
            {
                "messages": [
                    {"role": "user", "content": {"type": "text", "text": f"{self.prefix} greets {who}"}},
                    {"role": "user", "content": link},
                ]
            }
        )

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        reference = params.ref.model_dump(mode="json", exclude_none=True)
        values = [f"{reference.get('name') or reference.get('uri')}:{params.argument.value}!"]
        return types.CompleteResult.model_validate({"completion": {"values": values, "total": 1}})

    async def run_stdio(self) -> None:
        async with stdio_server() as (read, write):
            options = self.server.create_initialization_options(NotificationOptions(True, True, True))
            if self.era == "legacy":
                await serve_loop(self.server, read, write, lifespan_state={}, init_options=options)
            else:
                await self.server.run(read, write, options)

    def http_app(self) -> Any:
        original = self.server.create_initialization_options
        self.server.create_initialization_options = lambda *a, **k: original(  # type: ignore[method-assign]
            NotificationOptions(True, True, True)
        )
        return self.server.streamable_http_app(max_request_body_size=64 * 1024 * 1024)

    def sse_app(self) -> Any:
        sse = SseServerTransport("/messages/")
        options = self.server.create_initialization_options(NotificationOptions(True, True, True))

        async def connect(request: Request) -> Response:
            async with sse.connect_sse(request.scope, request.receive, request._send) as (read, write):
                await serve_loop(self.server, read, write, lifespan_state={}, init_options=options)
            return Response()

        async def health(request: Request) -> Response:
            return JSONResponse({})

        return Starlette(
            routes=[
                Route("/sse", connect, methods=["GET"]),
                Route("/health", health),
                Mount("/messages/", app=sse.handle_post_message),
            ]
        )


def text(value: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=value)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("transport", choices=["stdio", "http", "sse"])
    parser.add_argument("--era", choices=["legacy", "modern"], default="legacy")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--prefix", default="")
    options = parser.parse_args()
    time.sleep(options.delay)
    print(f"starting {options.transport}", file=sys.stderr, flush=True)
    everything = Everything(options.era, options.prefix)
    if options.transport == "stdio":
        anyio.run(everything.run_stdio)
        return
    app = everything.http_app() if options.transport == "http" else everything.sse_app()
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", timeout_graceful_shutdown=0)


if __name__ == "__main__":
    main()
