"""The canonical response to the JSON answer of `POST /responses`, and of `/responses/compact`."""

from __future__ import annotations

from typing import Any

from adapters import stop_reasons
from adapters.canonical import ChatResponse, Opaque, Usage
from adapters.citations import in_answer
from adapters.codec import Reply
from adapters.losses import Losses
from adapters.openai_responses import compact, envelope, notes
from adapters.openai_responses.items_output import declared_client_tools, encode_output
from adapters.openai_responses.usage import WORDS, outcome
from adapters.stream_losses import place
from adapters.tool_names import restore_response


def encode_response(response: ChatResponse, reply: Reply) -> tuple[dict[str, Any], Losses]:
    losses = Losses()
    if reply.action == compact.ACTION:
        return compact.encode(response, reply, losses), losses
    losses.foreign(response.extensions, notes.PROTOCOL, "")
    answer = in_answer(restore_response(response, reply.request), notes.PROTOCOL)
    if len(answer.choices) > 1:
        losses.add("n", "choices", "the Responses API gives one answer")
    output: list[dict[str, Any]] = []
    status, reason = outcome(WORDS["stop"])
    for choice in answer.choices[:1]:
        losses.foreign(choice.extensions, notes.PROTOCOL, "choices[0]")
        for at, part in enumerate(choice.parts):
            if not isinstance(part, Opaque) and part.extensions:
                losses.foreign(part.extensions, notes.PROTOCOL, place(0, at))
        word = WORDS[choice.finish.unified]
        stop_reasons.report(choice.finish, word, notes.PROTOCOL, "choices[0]", losses)
        status, reason = outcome(word)
        output = encode_output(choice.parts, reply.id, declared_client_tools(reply.request), status, losses)
    if response.usage is not None:
        losses.foreign(response.usage.extensions, notes.PROTOCOL, "usage")
    body = envelope.around(response, reply)
    return envelope.with_result(
        body, status=status, reason=reason, output=output, usage=response.usage or Usage()
    ), losses
