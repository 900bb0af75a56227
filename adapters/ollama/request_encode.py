"""A request for an Ollama server: always `/api/chat`, whatever the client used.

https://docs.ollama.com/api/chat, https://docs.ollama.com/capabilities/tool-calling
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.assemble import merge_extensions
from adapters.canonical import (
    Base64Source,
    ChatRequest,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    PlainTextSource,
    ProviderTool,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    UrlSource,
)
from adapters.codec import Encoded, TargetModel
from adapters.history import HistoryRules, normalise
from adapters.instructions import stable
from adapters.json_schema import described_schema
from adapters.jsontext import load_object
from adapters.losses import Losses
from adapters.models import traits
from adapters.ollama.request_decode import PROTOCOL
from adapters.reasoning import difference, effort_of, think_for
from adapters.tool_names import plain_request

RULES = HistoryRules(results="tool", merge_roles=False, pair_calls=True, drop_blank_text=False)

_NO_COUNTERPART = ("n", "verbosity", "user", "metadata", "service_tier")


def encode_request(request: ChatRequest, target: TargetModel) -> Encoded:
    request, losses = plain_request(request)
    request = stable(request, PROTOCOL, losses)
    own = dict(request.extensions.get(PROTOCOL, {}))
    extra_options = own.pop("options", {})
    body: dict[str, Any] = {
        "model": target.model,
        "messages": _messages(request, losses),
        "stream": request.stream,
    }
    if tools := _tools(request, losses):
        body["tools"] = tools
    if request.output_format is not None:
        _put_format(body, request.output_format, losses)
    if (think := _think(request, target, losses)) is not None:
        body["think"] = think
    if options := {**_options(request), **extra_options}:
        body["options"] = options
    for name in ("logprobs", "top_logprobs"):
        if (value := getattr(request, name)) is not None:
            body[name] = value
    losses.fields(request, _NO_COUNTERPART, "Ollama has no such parameter")
    losses.foreign(request.extensions, PROTOCOL, "")
    for generate_only in ("suffix", "template", "raw", "context"):
        if generate_only in own:
            losses.add(generate_only, generate_only, "only /api/generate of Ollama itself takes it")
            del own[generate_only]
    body.update(own)
    return Encoded("/api/chat", body, {}, losses)


def _options(request: ChatRequest) -> dict[str, Any]:
    options = {
        "num_predict": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "seed": request.seed,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "stop": list(request.stop) or None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _think(request: ChatRequest, target: TargetModel, losses: Losses) -> bool | str | None:
    reasoning = request.reasoning
    if reasoning is None:
        return None
    losses.foreign(reasoning.extensions, PROTOCOL, "reasoning")
    think = think_for(reasoning, traits(target.model))
    if think is None and effort_of(reasoning) not in (None, "none"):
        losses.add("reasoning", "reasoning", f"{target.model} does not reason")
    elif told := difference(reasoning, think):
        losses.add(told[0], "reasoning", told[1])
    if reasoning.summary not in (None, "auto"):
        losses.add("reasoning.summary", "reasoning.summary", "Ollama shows thoughts as they are")
    if reasoning.show is False and think is not False:
        losses.add("reasoning.show", "reasoning", "Ollama shows what the model thinks")
    return think


def _put_format(body: dict[str, Any], wanted: OutputFormat, losses: Losses) -> None:
    losses.foreign(wanted.extensions, PROTOCOL, "output_format")
    if wanted.kind == "json":
        body["format"] = "json"
    elif wanted.kind == "json_schema":
        body["format"] = described_schema(wanted)


def _tools(request: ChatRequest, losses: Losses) -> list[dict[str, Any]]:
    choice = request.tool_choice
    if choice is not None:
        losses.foreign(choice.extensions, PROTOCOL, "tool_choice")
    if request.parallel_tool_calls is False:
        losses.add("parallel_tool_calls", "parallel_tool_calls", "Ollama leaves it to the model")
    if choice is not None and choice.mode == "none":
        return []
    allowed = set(choice.names) if choice is not None and choice.names else None
    if choice is not None and choice.mode in ("required", "named"):
        losses.add("tool_choice", "tool_choice", "Ollama cannot force a call")
    encoded = []
    for index, tool in enumerate(request.tools):
        if isinstance(tool, ProviderTool):
            losses.add(f"tool.{tool.kind}", tool.place or f"tools[{index}]", f"only {tool.protocol} runs it")
        elif allowed is None or tool.name in allowed:
            encoded.append(_tool(tool, index, losses))
    return encoded


def _tool(tool: Tool, index: int, losses: Losses) -> dict[str, Any]:
    where = tool.place or f"tools[{index}]"
    losses.foreign(tool.extensions, PROTOCOL, where)
    if tool.strict:
        losses.add("tool.strict", f"{where}.strict", "Ollama has no strict tools")
    own = dict(tool.extensions.get(PROTOCOL, {}))
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = dict(tool.parameters or {"type": "object", "properties": {}})
    function.update(own.pop("function", {}))
    return {"type": "function", "function": function, **own}


def _messages(request: ChatRequest, losses: Losses) -> list[dict[str, Any]]:
    messages = request.messages
    if request.instructions:
        messages = (Message("system", request.instructions), *messages)
    for index, message in enumerate(request.messages):
        place = message.place or f"messages[{index}]"
        losses.foreign(message.extensions, PROTOCOL, place)
        if message.name is not None:
            losses.add("name", f"{place}.name", "Ollama has no names of speakers")
    ordered, repairs = normalise(messages, RULES)
    losses.extend(repairs)
    names = {
        part.id: part.name for message in ordered for part in message.parts if isinstance(part, ToolCall)
    }
    encoded: list[dict[str, Any]] = []
    for index, message in enumerate(_joined_assistant(ordered)):
        if message.role == "tool":
            for part in message.parts:
                if isinstance(part, ToolResult):
                    encoded.append(_result(part, names, part.place or f"messages[{index}]", losses))
        else:
            told = _message(message, message.place or f"messages[{index}]", losses)
            if told.keys() != _SAYS_NOTHING or told["content"] or not _left_out(message):
                encoded.append(told)
    return encoded


_SAYS_NOTHING = {"role", "content"}


def _left_out(message: Message) -> bool:
    """Whether a message that came out empty had something that Ollama cannot be told."""
    return any(not isinstance(part, Text) for part in message.parts)


def _joined_assistant(messages: tuple[Message, ...]) -> list[Message]:
    """Pieces of one assistant turn (its thinking, its words, its calls) as one message."""
    joined: list[Message] = []
    for message in messages:
        if joined and joined[-1].role == message.role == "assistant":
            before = joined[-1]
            extensions = merge_extensions(before.extensions, message.extensions)
            joined[-1] = replace(before, parts=before.parts + message.parts, extensions=extensions)
        else:
            joined.append(message)
    return joined


def _message(message: Message, where: str, losses: Losses) -> dict[str, Any]:
    role = "system" if message.role == "developer" else message.role
    said = _Said(where, losses)
    for part in message.parts:
        said.take(part)
    encoded: dict[str, Any] = {"role": role, "content": said.text}
    if said.thinking:
        encoded["thinking"] = "\n\n".join(said.thinking)
    if said.images:
        encoded["images"] = said.images
    if said.calls:
        encoded["tool_calls"] = said.calls
    encoded.update(message.extensions.get(PROTOCOL, {}))
    return encoded


def _result(result: ToolResult, names: Mapping[str, str], where: str, losses: Losses) -> dict[str, Any]:
    losses.foreign(result.extensions, PROTOCOL, where)
    said = _Said(where, losses, ordered=False)
    for part in result.content:
        said.take(part)
    text = said.text
    if result.is_error:
        losses.add("tool_result.is_error", where, "told in words")
        text = text if text.lower().startswith("error") else f"Error: {text}"
    encoded: dict[str, Any] = {"role": "tool", "content": text}
    if name := result.name or names.get(result.call_id):
        encoded["tool_name"] = name
    encoded["tool_call_id"] = result.call_id
    if said.images:
        encoded["images"] = said.images
    return encoded


class _Said:
    """Gathers the parts of one message into Ollama's separate fields."""

    def __init__(self, where: str, losses: Losses, *, ordered: bool = True) -> None:
        self._where = where
        self._ordered = ordered
        """Whether it says something that a picture stands behind the words."""
        self._losses = losses
        self._texts: list[str] = []
        self.thinking: list[str] = []
        self.images: list[str] = []
        self.calls: list[dict[str, Any]] = []

    @property
    def text(self) -> str:
        return "\n\n".join(text for text in self._texts if text)

    def take(self, part: Part) -> None:
        losses, where = self._losses, part.place or self._where
        if not isinstance(part, Opaque):
            losses.foreign(part.extensions, PROTOCOL, where)
        match part:
            case Text(text) | Refusal(text):
                self._texts.append(text)
            case Thinking(text, signature):
                if signature is not None:
                    code = "thinking.redacted" if part.redacted else "thinking.signature"
                    losses.add(code, where, f"only {signature.origin} can read it")
                if text:
                    self.thinking.append(text)
            case Media():
                self._media(part, where)
            case ToolCall():
                self._call(part, where)
            case ToolResult():
                losses.add("tool_result", where, "a result within a result")
            case Opaque(protocol, kind, _, text):
                losses.add(f"item.{kind}", where, f"only {protocol} has it")
                if text:
                    self._texts.append(text)

    def _media(self, part: Media, where: str) -> None:
        match part.source:
            case Base64Source(data) if part.kind == "image":
                self._image(part, data, where)
            case PlainTextSource(text):
                self._texts.append(f"{part.name}:\n{text}" if part.name else text)
            case source:
                name = part.name or (source.url if isinstance(source, UrlSource) else part.media_type)
                self._losses.add(f"media.{part.kind}", where, "Ollama takes images as base64 only")
                self._texts.append(f"[{part.kind} {name} cannot be shown to this model]")

    def _image(self, part: Media, data: str, where: str) -> None:
        if self._texts and self._ordered:
            self._losses.add("media.order", where, "Ollama's images stand before the text")
        if part.name is not None:
            self._losses.add("media.name", where, "Ollama's images have no name")
        if part.detail not in (None, "auto"):
            self._losses.add("detail", where, "Ollama cannot be told how closely to look")
        self.images.append(data)

    def _call(self, call: ToolCall, where: str) -> None:
        if call.signature is not None:
            self._losses.add("thinking.signature", where, f"only {call.signature.origin} can read it")
        arguments = load_object(call.arguments) if call.kind == "function" else {"input": call.arguments}
        if arguments is None:
            self._losses.add("tool_call.arguments", where, "not a JSON object; carried as text")
            arguments = {"arguments": call.arguments}
        function = {"index": len(self.calls), "name": call.name, "arguments": arguments}
        self.calls.append({"id": call.id, "function": function})
