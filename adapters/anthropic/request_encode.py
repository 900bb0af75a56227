"""A ChatRequest to a body for Anthropic's API.

https://platform.claude.com/docs/en/api/messages/create
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters import openai_common
from adapters.anthropic.abilities import takes_output_format
from adapters.anthropic.content_encode import Block
from adapters.anthropic.conversation_encode import encode_messages, encode_system
from adapters.anthropic.names import OUTPUT_TOOL, PROTOCOL, VERSION, fields, own
from adapters.anthropic.reasoning_encode import Thought, encode_reasoning
from adapters.anthropic.tools_encode import encode_choice, encode_tools, output_format, output_tool
from adapters.canonical import ChatRequest
from adapters.codec import Encoded, TargetModel
from adapters.losses import Losses
from adapters.models import ModelTraits, traits
from adapters.reasoning import sampling_allowed
from adapters.tool_names import plain_request

_MOST_BREAKPOINTS = 4
_LEAST_TOP_P = 0.95
"""While the model thinks."""
_SERVICE_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_WITHOUT_COUNTERPART = (
    "n",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "verbosity",
    "metadata",
)


def encode_request(request: ChatRequest, target: TargetModel) -> Encoded:
    plain, losses = plain_request(request)
    _report(plain, losses)
    model = target.model
    known = traits(model)
    body: dict[str, Any] = {"model": model, "max_tokens": 0}
    turns = encode_system(body, plain, model, losses)
    body["messages"] = encode_messages(turns, plain, model, losses)
    thought = _tools_and_thinking(body, plain, model, known, losses)
    body["max_tokens"] = thought.max_tokens
    _sampling(body, plain, known, thought, losses)
    _rest(body, plain, losses)
    body.update((key, value) for key, value in fields(plain.extensions).items() if key not in _MERGED)
    _limit_breakpoints(body, losses)
    if plain.stream:
        body["stream"] = True
    return Encoded("/v1/messages", body, _headers(plain), losses)


_MERGED = frozenset({"output_config", "metadata"})
"""Kept keys that stand beside others which the request has fields for."""


def _report(request: ChatRequest, losses: Losses) -> None:
    """What others' bags hold, but for the name of the user, which has a place here."""
    extensions = request.extensions
    if request.user is None and openai_common.identifier(extensions) is not None:
        for owner in (openai_common.CHAT, openai_common.RESPONSES):
            _, extensions = openai_common.shared(extensions, owner, frozenset({"safety_identifier"}))
    losses.foreign(extensions, PROTOCOL, "")


def _headers(request: ChatRequest) -> dict[str, str]:
    return {"anthropic-version": VERSION, **own(request.extensions).get("_headers", {})}


# ---------------------------------------------------------------- parameters


def _tools_and_thinking(
    body: dict[str, Any], request: ChatRequest, model: str, known: ModelTraits, losses: Losses
) -> Thought:
    tools = encode_tools(request, model, losses)
    choice = encode_choice(request, tools, losses)
    wanted = request.output_format
    config: dict[str, Any] = dict(own(request.extensions).get("output_config") or {})
    if wanted is not None:
        losses.foreign(wanted.extensions, PROTOCOL, "output_format")
    if wanted is not None and wanted.kind == "json":
        losses.add("output_format.json", "output_format", "there is no JSON mode without a schema")
    elif wanted is not None and wanted.kind == "json_schema":
        if "_own" in own(wanted.extensions) or takes_output_format(model):
            place = "output_format" if "_output_format" in own(wanted.extensions) else "format"
            (body if place == "output_format" else config)[place] = output_format(wanted, losses)
        else:
            losses.add("output_format.tool", "output_format", "a tool that has to be called stands for it")
            choice = {"type": "any"} if tools else {"type": "tool", "name": OUTPUT_TOOL}
            tools.append(output_tool(wanted))
    if tools or "_tools" in own(request.extensions):
        body["tools"] = tools
    if choice is not None:
        body["tool_choice"] = choice
    forced = choice is not None and choice["type"] in ("any", "tool")
    thought = encode_reasoning(request, model, known, forced, losses)
    if thought.thinking is not None:
        body["thinking"] = dict(thought.thinking)
    if thought.effort is not None:
        config["effort"] = thought.effort
    if config:
        body["output_config"] = config
    return thought


def _sampling(
    body: dict[str, Any], request: ChatRequest, known: ModelTraits, thought: Thought, losses: Losses
) -> None:
    said = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    written = "_own" in own(request.extensions)
    for name, value in said.items():
        if value is None:
            continue
        if thought.is_on and not _beside_thinking(name, value):
            losses.add(name, name, "not while the model thinks")
        elif not sampling_allowed(request.reasoning, known) and not (written and value == 1):
            losses.add(name, name, "the model takes no sampling parameters")
        elif name == "temperature" and not 0 <= value <= 1:
            losses.add(name, name, "at most 1" if value > 1 else "at least 0")
            body[name] = 1 if value > 1 else 0
        else:
            body[name] = value


def _beside_thinking(name: str, value: float) -> bool:
    match name:
        case "temperature":
            return value == 1
        case "top_p":
            return _LEAST_TOP_P <= value <= 1
        case _:
            return False


def _rest(body: dict[str, Any], request: ChatRequest, losses: Losses) -> None:
    stops = [text for text in request.stop if text.strip()]
    if len(stops) < len(request.stop):
        losses.add("stop", "stop", "a stop sequence has to have more than whitespace")
    if stops:
        body["stop_sequences"] = stops
    metadata = {**own(request.extensions).get("metadata", {})}
    if (user := openai_common.request_identifier(request)) is not None:
        metadata["user_id"] = user
    if metadata:
        body["metadata"] = metadata
    if request.service_tier is not None:
        if request.service_tier in _SERVICE_TIERS:
            body["service_tier"] = _SERVICE_TIERS[request.service_tier]
        else:
            losses.add("service_tier", "service_tier", f"there is no tier {request.service_tier!r}")
    losses.fields(request, _WITHOUT_COUNTERPART, "the API has nothing like it")


# ---------------------------------------------------------------- cache breakpoints


def _limit_breakpoints(body: dict[str, Any], losses: Losses) -> None:
    """At most four: the last ones stay, since each covers all that stands before it."""
    most = _MOST_BREAKPOINTS - (1 if body.get("cache_control") else 0)
    marked = [block for block in _cacheable(body) if block.get("cache_control")]
    for block in marked[: max(len(marked) - most, 0)]:
        losses.add("cache_control", "", f"the API takes at most {_MOST_BREAKPOINTS} breakpoints")
        block.pop("cache_control")


def _cacheable(body: dict[str, Any]) -> Iterator[Block]:
    """Everything that may have a breakpoint, in the order of the prompt."""
    yield from body.get("tools", ())
    if isinstance(body.get("system"), list):
        yield from body["system"]
    for message in body["messages"]:
        if isinstance(message["content"], list):
            for block in message["content"]:
                if block["type"] == "tool_result" and isinstance(block.get("content"), list):
                    yield from block["content"]
                yield block
