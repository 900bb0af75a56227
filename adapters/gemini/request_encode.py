"""The canonical request to Gemini's.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from urllib.parse import quote

from adapters.canonical import ChatRequest, Message, Part, Text, ToolCall
from adapters.codec import Encoded, TargetModel
from adapters.gemini.carry import PROTOCOL, SKIP
from adapters.gemini.config_encode import encode_config
from adapters.gemini.parts_encode import PartEncoder, Wire, note, own, split
from adapters.gemini.tools_encode import encode_tool_config, encode_tools
from adapters.history import HistoryRules, leading_system, normalise
from adapters.instructions import stable
from adapters.losses import Losses
from adapters.models import ModelTraits, base_name, traits
from adapters.tool_names import plain_request

NO_WORDS = "(no message)"
"""The user's words where a request has only system text: Gemini wants at least one content."""

_TIERS = {
    "flex": "flex",
    "priority": "priority",
    "default": "standard",
    "standard": "standard",
    "standard_only": "standard",
}
"""https://ai.google.dev/gemini-api/docs/flex-inference"""


def encode_request(request: ChatRequest, target: TargetModel) -> Encoded:
    losses = Losses()
    native = bool(note(request.extensions, "_native"))
    if not native:  # Gemini's own clients use names that its API takes
        request, told = plain_request(request)
        losses.extend(told)
    request = stable(request, PROTOCOL, losses)
    model_traits = traits(target.model)
    body: Wire = {"contents": []}
    system, messages = _system(request, losses)
    encoder = PartEncoder(losses, media_in_results=_is_third_generation(target.model, model_traits))
    if parts := _system_parts(system, encoder, losses):
        body["systemInstruction"] = {**(note(request.extensions, "_systemInstruction") or {}), "parts": parts}
    body["contents"] = _contents(messages, encoder, losses)
    if _is_third_generation(target.model, model_traits):
        _sign_current_turn(body["contents"])
    if tools := encode_tools(request.tools, losses):
        body["tools"] = tools
    bag = own(request.extensions)
    config_bag, bag = split(bag, "generationConfig")
    tool_bag, bag = split(bag, "toolConfig")
    if tool_config := encode_tool_config(request, tool_bag, native, losses):
        body["toolConfig"] = tool_config
    if config := encode_config(request, model_traits, config_bag, native, losses):
        body["generationConfig"] = config
    _report(request, native, body, losses)
    body.update(bag)
    return Encoded(path(target.model, stream=request.stream), body, {}, losses)


def path(model: str, *, stream: bool) -> str:
    name = quote(model.removeprefix("models/"), safe="/:@.-_~")
    return f"/v1beta/models/{name}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")


def _is_third_generation(model: str, model_traits: ModelTraits) -> bool:
    """Gemini 3 and later, which check signatures and take media in function responses."""
    return model_traits.reasoning == "level" and base_name(model).startswith("gemini-")


def _report(request: ChatRequest, native: bool, body: Wire, losses: Losses) -> None:
    """The top-level wishes without a counterpart."""
    losses.foreign(request.extensions, PROTOCOL, "")
    losses.fields(request, ("verbosity", "user", "metadata", "parallel_tool_calls"), "Gemini cannot be told")
    tier = request.service_tier
    if tier is None or (tier == "auto" and not native):
        return
    if native or tier in _TIERS:
        body["serviceTier"] = tier if native else _TIERS[tier]
    else:
        losses.add("service_tier", "service_tier", f"Gemini has no tier {tier!r}")


# ---------------------------------------------------------------- system text


def _system(request: ChatRequest, losses: Losses) -> tuple[list[Part], tuple[Message, ...]]:
    """The parts of `systemInstruction`, and the conversation.

    System text in mid-conversation becomes a turn of the user, in its place: so the prefix stays. If
    there is no other, though, the first one goes where Gemini looks for it.
    """
    leading, messages = leading_system(request.messages)
    parts: list[Part] = [*request.instructions, *(part for message in leading for part in message.parts)]
    for index, message in enumerate(leading):
        _report_message(message, index, losses)
    if not parts:
        at = next((n for n, one in enumerate(messages) if one.role in ("system", "developer")), None)
        if at is not None:
            _report_message(messages[at], at, losses)
            parts = list(messages[at].parts)
            messages = messages[:at] + messages[at + 1 :]
    return parts, messages


def _system_parts(parts: Sequence[Part], encoder: PartEncoder, losses: Losses) -> list[Wire]:
    wires: list[Wire] = []
    for at, part in enumerate(parts):
        wires += encoder.encode(part, f"system[{at}]")
    return wires


# ---------------------------------------------------------------- contents


def _contents(messages: Sequence[Message], encoder: PartEncoder, losses: Losses) -> list[Wire]:
    for at, message in enumerate(messages):
        _report_message(message, at, losses)
    spoken = _without_empty(messages)
    turns, repairs = normalise(spoken, _rules(spoken))
    losses.extend(repairs)
    contents: list[Wire] = []
    for at, turn in enumerate(turns):
        parts = [
            wire
            for position, part in enumerate(turn.parts)
            for wire in encoder.encode(part, f"messages[{at}].content[{position}]")
        ]
        role = "model" if turn.role == "assistant" else "user"
        if not parts:
            continue
        if contents and contents[-1]["role"] == role:  # what stood between said nothing to Gemini
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts, **own(turn.extensions)})
    for content in contents:
        content["parts"] = _responses_first(content["parts"])
    return contents or [{"role": "user", "parts": [{"text": NO_WORDS}]}]


def _report_message(message: Message, at: int, losses: Losses) -> None:
    place = message.place or f"messages[{at}]"
    losses.foreign(message.extensions, PROTOCOL, place)
    if message.name is not None:
        losses.add("name", f"{place}.name", "Gemini's turns have no names")


def _responses_first(parts: list[Wire]) -> list[Wire]:
    """Media that stands beside function responses comes after all of them."""
    responses = [part for part in parts if "functionResponse" in part]
    if not responses or parts[: len(responses)] == responses:
        return parts
    return responses + [part for part in parts if "functionResponse" not in part]


def _rules(messages: Sequence[Message]) -> HistoryRules:
    first_turn = takewhile(lambda message: message.role == "assistant", messages)
    begins_with_call = any(isinstance(part, ToolCall) for message in first_turn for part in message.parts)
    return HistoryRules(
        results="user",
        merge_roles=True,
        results_in_call_order=True,
        system_as_user=True,
        # "function call turn comes immediately after a user turn", says the API's error
        user_first=begins_with_call,
    )


def _without_empty(messages: Sequence[Message]) -> list[Message]:
    """Empty texts are refused by Gemini and say nothing; those with a signature do."""
    return [trimmed for message in messages if (trimmed := _trimmed(message)).parts]


def _trimmed(message: Message) -> Message:
    if all(not _is_empty(part) for part in message.parts):
        return message
    return replace(message, parts=tuple(part for part in message.parts if not _is_empty(part)))


def _is_empty(part: Part) -> bool:
    return isinstance(part, Text) and not part.text and not part.extensions


def _sign_current_turn(contents: list[Wire]) -> None:
    """Gemini 3 wants a signature on the first call of every step since the user last spoke.

    Calls that another model made have none: Google's stand-in takes its place.
    https://ai.google.dev/gemini-api/docs/thought-signatures#faqs
    """
    for content in reversed(contents):
        if content["role"] == "user":
            if any("functionResponse" not in part for part in content["parts"]):
                return
            continue
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if first is not None and "thoughtSignature" not in first:
            first["thoughtSignature"] = SKIP


def passthrough_path(model: str, action: str) -> str:
    name = quote(model.removeprefix("models/"), safe="/:@.-_~")
    return f"/v1beta/models/{name}:{action or 'generateContent'}"
