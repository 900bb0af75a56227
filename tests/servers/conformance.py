"""A downstream server with the names that the MCP conformance suite looks for.

    python conformance.py stdio [--era legacy|modern]
    python conformance.py http --port PORT [--era legacy|modern]

`modern` answers clients of both eras, as the SDK does; `legacy` knows the handshake era only.
The names and what is behind them: npm `@modelcontextprotocol/conformance`, its server scenarios.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import io
import json
import secrets
import struct
import wave
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from mcp.server.subscriptions import PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from tests.servers import conformance_tasks
from tests.servers.everything import Context, Everything, text

Json = dict[str, Any]
Answers = Mapping[str, Json]
_PAUSE_SECONDS = 0.05
_RESOURCE_NOT_FOUND = -32002
"""The handshake era's code; 2026-07-28 uses INVALID_PARAMS."""


def _png() -> str:
    """One red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")), chunk(b"IEND", b""))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def _wav() -> str:
    """A hundredth of a second of silence."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(160))
    return base64.b64encode(buffer.getvalue()).decode()


PNG, WAV = _png(), _wav()
IMAGE: Json = {"type": "image", "data": PNG, "mimeType": "image/png"}


def _object(properties: Json, required: bool = True) -> Json:
    return {"type": "object", "properties": properties, **({"required": [*properties]} if required else {})}


def _strings(*names: str) -> Json:
    return _object({name: {"type": "string"} for name in names})


NOTHING = _object({}, required=False)
DIALECT: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
DEFAULTS = _object(
    {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
    required=False,
)
_OPTIONS = ["option1", "option2", "option3"]
_TITLED = [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]
ENUMS = _object(
    {
        "untitledSingle": {"type": "string", "enum": _OPTIONS},
        "titledSingle": {"type": "string", "oneOf": _TITLED},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option 1", "Option 2"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
        "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
    },
    required=False,
)

TOOLS: dict[str, Json] = {
    "test_simple_text": NOTHING,
    "test_image_content": NOTHING,
    "test_audio_content": NOTHING,
    "test_embedded_resource": NOTHING,
    "test_multiple_content_types": NOTHING,
    "test_tool_with_logging": NOTHING,
    "test_logging_tool": NOTHING,
    "test_tool_with_progress": NOTHING,
    "test_error_handling": NOTHING,
    "test_sampling": _strings("prompt"),
    "test_elicitation": _strings("message"),
    "test_elicitation_sep1034_defaults": NOTHING,
    "test_elicitation_sep1330_enums": NOTHING,
    "test_streaming_elicitation": NOTHING,
    "test_missing_capability": NOTHING,
    "test_trigger_tool_change": NOTHING,
    "test_trigger_prompt_change": NOTHING,
    "test_input_required_result_elicitation": NOTHING,
    "test_input_required_result_sampling": NOTHING,
    "test_input_required_result_list_roots": NOTHING,
    "test_input_required_result_request_state": NOTHING,
    "test_input_required_result_multiple_inputs": NOTHING,
    "test_input_required_result_multi_round": NOTHING,
    "test_input_required_result_tampered_state": NOTHING,
    "test_input_required_result_capabilities": NOTHING,
    "test_custom_headers": _object({"region": {"type": "string", "x-mcp-header": "Region"}}),
    "json_schema_2020_12_tool": DIALECT,
}
PROMPTS: dict[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
RESOURCES: dict[str, Json] = {
    "test://static-text": {"mimeType": "text/plain", "text": "Text that never changes."},
    "test://static-binary": {"mimeType": "image/png", "blob": PNG},
    "test://watched-resource": {"mimeType": "text/plain", "text": "Text that one may watch."},
}


@dataclass(frozen=True, slots=True)
class Ask:
    """What has to be asked before there is a result; `state` comes back with the answers."""

    questions: dict[str, Json]
    state: str | None = None


def _elicit(message: str, schema: Json) -> Json:
    params = {"mode": "form", "message": message, "requestedSchema": schema}
    return {"method": "elicitation/create", "params": params}


def _sample(prompt: str) -> Json:
    messages = [{"role": "user", "content": {"type": "text", "text": prompt}}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": 100}}


ROOTS: Json = {"method": "roots/list", "params": {}}
NAME = _elicit("What is your name?", _strings("name"))
CONFIRM = _elicit("Please confirm", _object({"ok": {"type": "boolean"}}))
_CAPABILITY = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
QUESTIONS: dict[str, Ask] = {
    "test_elicitation_sep1034_defaults": Ask({"form": _elicit("Check these", DEFAULTS)}),
    "test_elicitation_sep1330_enums": Ask({"form": _elicit("Choose", ENUMS)}),
    "test_streaming_elicitation": Ask({"user_name": NAME}),
    "test_missing_capability": Ask({"capital_question": _sample("What is the capital of France?")}),
    "test_input_required_result_elicitation": Ask({"user_name": NAME}),
    "test_input_required_result_sampling": Ask({"capital_question": _sample("The capital of France?")}),
    "test_input_required_result_list_roots": Ask({"client_roots": ROOTS}),
    "test_input_required_result_request_state": Ask({"confirm": CONFIRM}, "state"),
    "test_input_required_result_tampered_state": Ask({"confirm": CONFIRM}, "state"),
    "test_input_required_result_multiple_inputs": Ask(
        {"user_name": NAME, "greeting": _sample("Generate a greeting"), "client_roots": ROOTS}, "state"
    ),
}
"""Tools that ask once and tell the answers."""


class Conformance(Everything):
    tasks_of_2025 = None

    def __init__(self, era: str) -> None:
        self._key = secrets.token_bytes(32)
        self._more_tools = self._more_prompts = False
        self._desk = conformance_tasks.Desk()
        super().__init__(era, "conformance")
        self.server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, self.set_level)
        self.server.get_tool_input_schema = TOOLS.get

    async def set_level(self, ctx: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        return types.EmptyResult()

    async def list_tools(self, ctx: Context, params: Any) -> types.ListToolsResult:
        names = {**TOOLS, **({"test_added_tool": NOTHING} if self._more_tools else {})}
        names |= {name: {"type": "object"} for name in conformance_tasks.TOOLS}
        tools = [{"name": n, "description": f"For {n}", "inputSchema": s} for n, s in names.items()]
        return types.ListToolsResult.model_validate({"tools": tools})

    async def list_prompts(self, ctx: Context, params: Any) -> types.ListPromptsResult:
        names = {**PROMPTS, **({"test_added_prompt": ()} if self._more_prompts else {})}
        prompts = [
            {
                "name": name,
                "description": f"For {name}",
                "arguments": [{"name": argument, "required": True} for argument in arguments],
            }
            for name, arguments in names.items()
        ]
        return types.ListPromptsResult.model_validate({"prompts": prompts})

    def about_tasks(self, ctx: Context) -> Json | None:
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS and ctx.method != "tools/call":
            return None
        capabilities = ctx.session.client_capabilities
        known = (capabilities and capabilities.extensions) or {}
        return self._desk.answer(
            ctx.method, ctx.params or {}, negotiated=conformance_tasks.EXTENSION in known
        )

    async def list_resources(self, ctx: Context, params: Any) -> types.ListResourcesResult:
        resources = [
            {"uri": uri, "name": uri.removeprefix("test://"), "description": uri, "mimeType": r["mimeType"]}
            for uri, r in RESOURCES.items()
        ]
        return types.ListResourcesResult.model_validate({"resources": resources})

    async def list_templates(self, ctx: Context, params: Any) -> types.ListResourceTemplatesResult:
        template = {"uriTemplate": "test://template/{id}/data", "name": "data", "description": "Data by id"}
        return types.ListResourceTemplatesResult.model_validate({"resourceTemplates": [template]})

    async def read(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        content = RESOURCES.get(uri)
        if content is None and uri.startswith("test://template/") and uri.endswith("/data"):
            data = {"id": uri.split("/")[3], "templateTest": True}
            content = {"mimeType": "application/json", "text": json.dumps(data)}
        if content is None:
            modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
            code = INVALID_PARAMS if modern else _RESOURCE_NOT_FOUND
            raise MCPError(code, "Resource not found", {"uri": uri})
        return types.ReadResourceResult.model_validate({"contents": [{"uri": uri, **content}]})

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        if params.name not in TOOLS:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")

        async def run(answers: Answers, state: str | None) -> Any:
            if (ask := QUESTIONS.get(params.name)) is not None:
                told = json.dumps(answers, sort_keys=True)
                return ask if ask.questions.keys() - answers.keys() else text(f"answers: {told}")
            return await getattr(self, params.name)(ctx, params.arguments or {}, answers, state)

        return await self._converse(ctx, params, run)

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> Any:
        async def run(answers: Answers, state: str | None) -> Any:
            return self._prompt(params.name, params.arguments or {}, answers)

        return await self._converse(ctx, params, run)

    def _prompt(self, name: str, arguments: Mapping[str, str], answers: Answers) -> Any:
        match name:
            case "test_simple_prompt":
                blocks: list[Json] = [_text("A prompt without arguments.")]
            case "test_prompt_with_arguments":
                blocks = [_text(f"arg1={arguments.get('arg1')!r}, arg2={arguments.get('arg2')!r}")]
            case "test_prompt_with_embedded_resource":
                blocks = [_embedded(arguments["resourceUri"], "text/plain", "embedded"), _text("Read this.")]
            case "test_prompt_with_image":
                blocks = [IMAGE, _text("Look at this.")]
            case "test_input_required_result_prompt":
                if "user_context" not in answers:
                    return Ask({"user_context": _elicit("Which context?", _strings("context"))})
                blocks = [_text(json.dumps(answers["user_context"]))]
            case _:
                raise MCPError(INVALID_PARAMS, f"Unknown prompt: {name}")
        messages = [{"role": "user", "content": block} for block in blocks]
        return types.GetPromptResult.model_validate({"messages": messages})

    async def _converse(self, ctx: Context, params: Any, run: Any) -> Any:
        """Ask in the way of the client's era until there is a result."""
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            state = self._opened(params.request_state)
            given = {key: _plain(answer) for key, answer in (params.input_responses or {}).items()}
            found = await run(given, state)
            if not isinstance(found, Ask):
                return found
            self._check_offered(ctx, found)
            result = {"resultType": "input_required", "inputRequests": found.questions}
            if found.state is not None:
                result["requestState"] = self._sealed(found.state)
            return types.InputRequiredResult.model_validate(result)
        answers: dict[str, Json] = {}
        found = await run(answers, None)
        while isinstance(found, Ask):
            for key, question in found.questions.items():
                answers[key] = await ctx.session._request_outbound.send_raw_request(
                    question["method"], question["params"]
                )
            found = await run(answers, found.state)
        return found

    def _check_offered(self, ctx: Context, ask: Ask) -> None:
        wanted = {_CAPABILITY[question["method"]] for question in ask.questions.values()}
        if missing := sorted(wanted - _capabilities(ctx)):
            raise MCPError(
                MISSING_REQUIRED_CLIENT_CAPABILITY,
                f"the client does not offer {', '.join(missing)}",
                {"requiredCapabilities": {name: {} for name in missing}},
            )

    def _sealed(self, state: str) -> str:
        return f"{state}.{hmac.new(self._key, state.encode(), hashlib.sha256).hexdigest()}"

    def _opened(self, sealed: str | None) -> str | None:
        if sealed is None:
            return None
        state = sealed.rpartition(".")[0]
        if not hmac.compare_digest(sealed.encode(), self._sealed(state).encode()):
            raise MCPError(INVALID_PARAMS, "requestState is not one of this server's")
        return state

    async def test_simple_text(self, *_: Any) -> Any:
        return text("A simple text.")

    async def test_image_content(self, *_: Any) -> Any:
        return _content(IMAGE)

    async def test_audio_content(self, *_: Any) -> Any:
        return _content({"type": "audio", "data": WAV, "mimeType": "audio/wav"})

    async def test_embedded_resource(self, *_: Any) -> Any:
        return _content(_embedded("test://embedded-resource", "text/plain", "An embedded text."))

    async def test_multiple_content_types(self, *_: Any) -> Any:
        resource = _embedded("test://mixed-content-resource", "application/json", '{"test": "data"}')
        return _content(_text("Several types:"), IMAGE, resource)

    async def test_error_handling(self, *_: Any) -> Any:
        return types.CallToolResult.model_validate({"content": [_text("It fails always.")], "isError": True})

    async def test_tool_with_logging(self, ctx: Context, *_: Any) -> Any:
        for step in ("started", "goes on", "ends"):
            await ctx.session.send_log_message("info", f"The tool {step}", None, ctx.request_id)
            await anyio.sleep(_PAUSE_SECONDS)
        return text("logged")

    test_logging_tool = test_tool_with_logging

    async def test_tool_with_progress(self, ctx: Context, *_: Any) -> Any:
        for done in (0, 50, 100):
            await ctx.session.report_progress(done, 100, f"{done} of 100")
            await anyio.sleep(_PAUSE_SECONDS)
        return text("done")

    async def test_sampling(self, ctx: Context, arguments: Json, answers: Answers, *_: Any) -> Any:
        if "sample" not in answers:
            return Ask({"sample": _sample(arguments["prompt"])})
        return text(f"LLM response: {json.dumps(answers['sample'])}")

    async def test_elicitation(self, ctx: Context, arguments: Json, answers: Answers, *_: Any) -> Any:
        if "user" not in answers:
            return Ask({"user": _elicit(arguments["message"], _strings("username", "email"))})
        return text(f"User response: {json.dumps(answers['user'])}")

    async def test_input_required_result_multi_round(
        self, ctx: Context, arguments: Json, answers: Answers, state: str | None
    ) -> Any:
        if state is None:
            return Ask({"step1": _elicit("Step 1: your name?", _strings("name"))}, "first")
        if state == "first":
            return Ask({"step2": _elicit("Step 2: your colour?", _strings("color"))}, "second")
        return text(f"answers: {json.dumps(answers, sort_keys=True)}")

    async def test_input_required_result_capabilities(
        self, ctx: Context, arguments: Json, answers: Answers, *_: Any
    ) -> Any:
        every = {"elicitation": NAME, "sampling": _sample("Say hello"), "roots": ROOTS}
        possible = {key: every[key] for key in every if key in _capabilities(ctx)}
        if possible.keys() - answers.keys():
            return Ask(possible)
        return text(f"answers: {json.dumps(answers, sort_keys=True)}")

    async def test_trigger_tool_change(self, *_: Any) -> Any:
        self._more_tools = not self._more_tools
        await self.announce("notifications/tools/list_changed", ToolsListChanged())
        return text("changed")

    async def test_trigger_prompt_change(self, *_: Any) -> Any:
        self._more_prompts = not self._more_prompts
        await self.announce("notifications/prompts/list_changed", PromptsListChanged())
        return text("changed")

    async def test_custom_headers(self, ctx: Context, arguments: Json, *_: Any) -> Any:
        return text(json.dumps(arguments, sort_keys=True))

    async def json_schema_2020_12_tool(self, ctx: Context, arguments: Json, *_: Any) -> Any:
        return text(json.dumps(arguments, sort_keys=True))


def _capabilities(ctx: Context) -> set[str]:
    declared = ctx.session.client_capabilities
    return set(declared.model_dump(by_alias=True, exclude_none=True)) if declared is not None else set()


def _plain(answer: Any) -> Json:
    return answer if isinstance(answer, dict) else answer.model_dump(by_alias=True, mode="json")


def _text(value: str) -> Json:
    return {"type": "text", "text": value}


def _embedded(uri: str, mime_type: str, value: str) -> Json:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": value}}


def _content(*blocks: Json) -> types.CallToolResult:
    return types.CallToolResult.model_validate({"content": blocks})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("transport", choices=["stdio", "http"])
    parser.add_argument("--era", choices=["legacy", "modern"], default="modern")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = Conformance(options.era)
    if options.transport == "stdio":
        anyio.run(server.run_stdio)
        return
    app = server.http_app()
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", timeout_graceful_shutdown=0)


if __name__ == "__main__":
    main()
