"""The canonical request to a body for `POST /responses`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters import openai_common
from adapters.canonical import ChatRequest, OutputFormat, Text
from adapters.codec import Encoded, TargetModel
from adapters.history import HistoryRules, normalise
from adapters.instructions import stable
from adapters.json_schema import fits_openai_strict
from adapters.losses import Losses
from adapters.models import ModelTraits, traits
from adapters.openai_responses import notes
from adapters.openai_responses.items_encode import encode_items
from adapters.openai_responses.request_decode import ENCRYPTED, LOGPROBS
from adapters.openai_responses.tools import encode_choice, encode_tools, withheld
from adapters.reasoning import difference, effort_for, effort_of, sampling_allowed
from adapters.tool_names import plain_request

PATH = "/responses"
MIN_OUTPUT_TOKENS = 16

_NO_PLACE = ("n", "top_k", "seed", "presence_penalty", "frequency_penalty")
_VERBOSITIES = ("low", "medium", "high")


def encode_request(request: ChatRequest, target: TargetModel) -> Encoded:
    """What has no place is in the losses; nothing is refused but another provider's stored state."""
    request, losses = plain_request(request, custom=True, namespaces=True)
    request = stable(request, notes.PROTOCOL, losses)
    bag = notes.own(request.extensions)
    body: dict[str, Any] = {"model": target.model}
    _instructions(request, body, losses)
    body["input"] = _input(request, losses)
    _tools(request, body, losses)
    _limits(request, body, losses)
    known = traits(target.model)
    _sampling(request, body, known, losses, is_own=bool(bag) and request.model == target.model)
    _text(request, body, losses)
    _reasoning(request, body, known, losses)
    _account(request, body, losses)
    _bags(request, body, losses)
    if not bag:
        body.setdefault("store", False)
        _include(request, body, known, losses)
    if request.stream:
        body["stream"] = True
    for key, value in bag.get("_:spelled", {}).items():
        body.setdefault(key, value)
    return Encoded(PATH, body, {}, losses)


def _instructions(request: ChatRequest, body: dict[str, Any], losses: Losses) -> None:
    texts = []
    for part in request.instructions:
        if isinstance(part, Text):
            losses.foreign(part.extensions, notes.PROTOCOL, part.place or "instructions")
            texts.append(part.text)
        else:
            losses.add(
                "instructions", part.place or "instructions", f"a {part.tag} cannot stand in the instructions"
            )
    if texts:
        body["instructions"] = "\n\n".join(texts)


def _input(request: ChatRequest, losses: Losses) -> str | list[dict[str, Any]]:
    messages = request.messages
    if len(messages) == 1 and "input" in notes.own(messages[0].extensions).get("_:form", ()):
        return "".join(part.text for part in messages[0].parts if isinstance(part, Text))
    if not _is_stateful(request):
        messages, repairs = normalise(messages, HistoryRules(results="tool"))
        losses.extend(repairs)
    return encode_items(messages, losses)


def _is_stateful(request: ChatRequest) -> bool:
    """Whether calls may stand in a conversation that the provider keeps."""
    bags = [notes.own(request.extensions), *(notes.own(message.extensions) for message in request.messages)]
    return any(key.startswith("!") for bag in bags for key in bag)


def _tools(request: ChatRequest, body: dict[str, Any], losses: Losses) -> None:
    if isinstance(body["input"], list):
        body["input"] = withheld(body["input"], request.tools)
    tools = encode_tools(request.tools, losses)
    if tools:
        body["tools"] = tools
    elif not request.tools and not _declares(body):
        return
    if request.tool_choice is not None and (
        tools or notes.own(request.tool_choice.extensions) or _declares(body)
    ):
        body["tool_choice"] = encode_choice(request.tool_choice, request.tools, losses)
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls


def _declares(body: Mapping[str, Any]) -> bool:
    items = body["input"]
    return isinstance(items, list) and any(item.get("type") == "additional_tools" for item in items)


def _limits(request: ChatRequest, body: dict[str, Any], losses: Losses) -> None:
    if request.max_tokens is not None:
        body["max_output_tokens"] = max(request.max_tokens, MIN_OUTPUT_TOKENS)
        if request.max_tokens < MIN_OUTPUT_TOKENS:
            losses.add(
                "max_tokens", "max_tokens", f"raised to {MIN_OUTPUT_TOKENS}, the least that the API takes"
            )
    if request.stop:
        losses.add("stop", "stop", "the Responses API has no stop sequences")
    losses.fields(request, _NO_PLACE, "the Responses API has nothing like it")


def _sampling(
    request: ChatRequest, body: dict[str, Any], known: ModelTraits, losses: Losses, *, is_own: bool
) -> None:
    allowed = is_own or sampling_allowed(request.reasoning, known)
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is None:
            continue
        if allowed:
            body[name] = value
        else:
            losses.add(name, name, f"{body['model']} takes no {name}")
    if request.top_logprobs is not None:
        if allowed:
            body["top_logprobs"] = request.top_logprobs
        else:
            losses.add("top_logprobs", "top_logprobs", f"{body['model']} gives no log probabilities")


def _text(request: ChatRequest, body: dict[str, Any], losses: Losses) -> None:
    text: dict[str, Any] = {}
    if request.output_format is not None:
        losses.foreign(request.output_format.extensions, notes.PROTOCOL, "output_format")
        written = output_format(request.output_format, is_own=bool(notes.own(request.extensions)))
        if written:
            text["format"] = written
    if request.verbosity is not None:
        if request.verbosity in _VERBOSITIES:
            text["verbosity"] = request.verbosity
        else:
            losses.add(
                "verbosity", "verbosity", f"{request.verbosity!r} is not one of {', '.join(_VERBOSITIES)}"
            )
    text.update(notes.own(request.extensions).get("text", {}))
    if text:
        body["text"] = text


def output_format(wanted: OutputFormat, *, is_own: bool) -> dict[str, Any] | None:
    out: dict[str, Any]
    match wanted.kind:
        case "text":
            out = {"type": "text"} if is_own else {}
        case "json":
            out = {"type": "json_object"}
        case "json_schema":
            schema = dict(wanted.schema or {"type": "object"})
            out = {"type": "json_schema", "name": wanted.name or "response", "schema": schema}
            if wanted.description is not None:
                out["description"] = wanted.description
            if wanted.strict is not None:
                out["strict"] = wanted.strict
            elif not is_own:
                out["strict"] = fits_openai_strict(schema)
    return notes.restore(out, notes.own(wanted.extensions)) if out else None


def _reasoning(request: ChatRequest, body: dict[str, Any], known: ModelTraits, losses: Losses) -> None:
    wanted = request.reasoning
    if wanted is None:
        return
    losses.foreign(wanted.extensions, notes.PROTOCOL, "reasoning")
    bag = notes.own(wanted.extensions)
    out: dict[str, Any] = {}
    effort = effort_of(wanted)
    if request.model == body["model"] and notes.own(request.extensions):
        sent = effort
    else:
        sent = effort_for(wanted, known)
        if known.reasoning == "none":
            if effort not in (None, "none"):
                losses.add("reasoning", "reasoning", f"{body['model']} does not reason")
            return
    if sent is not None:
        out["effort"] = sent
        if told := difference(wanted, sent):
            losses.add(told[0], "reasoning", told[1])
    if wanted.summary is not None and "_generate_summary" not in bag:
        out["summary"] = wanted.summary
    elif not bag and sent != "none" and (wanted.show or (wanted.show is None and wanted.enabled)):
        out["summary"] = "auto"
    notes.restore(out, bag)
    if out:
        body["reasoning"] = out


def _account(request: ChatRequest, body: dict[str, Any], losses: Losses) -> None:
    if request.user is not None:
        body["user"] = openai_common.short_user(request.user)
    if request.metadata is not None:
        body["metadata"] = dict(request.metadata)
    if request.service_tier is not None:
        if request.service_tier in openai_common.TIERS or notes.own(request.extensions):
            body["service_tier"] = request.service_tier
        else:
            losses.add("service_tier", "service_tier", f"OpenAI has no tier {request.service_tier!r}")


def _bags(request: ChatRequest, body: dict[str, Any], losses: Losses) -> None:
    found, extensions = openai_common.shared(request.extensions, openai_common.CHAT)
    body.update(found)
    losses.foreign(extensions, notes.PROTOCOL, "")
    bag = notes.own(request.extensions)
    notes.restore(body, {key: value for key, value in bag.items() if key != "text"})


def _include(request: ChatRequest, body: dict[str, Any], known: ModelTraits, losses: Losses) -> None:
    """Ciphertext of the reasoning, so that it can be sent back in the next turn; log probabilities."""
    include = []
    if known.reasoning == "effort":
        include.append(ENCRYPTED)
    if request.logprobs:
        if sampling_allowed(request.reasoning, known):
            include.append(LOGPROBS)
        else:
            losses.add("logprobs", "logprobs", f"{body['model']} gives no log probabilities")
    if include:
        body["include"] = include
