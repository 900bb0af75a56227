"""Asking a group from inside of the program: a canonical request in, a whole answer out.

It goes the way of a client's request, as OpenAI Chat Completions, so that routing, failover, limits and
usage hold for it as for any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

import orjson

from adapters.assemble import Assembler, broken_stream
from adapters.canonical import ChatError, ChatRequest, ChatResponse, Media, PartDelta, PartStart, Text
from adapters.codec import Arrival, Codec, TargetModel
from adapters.errors import AdapterError
from adapters.jsontext import dump_bytes
from adapters.registry import codec as codec_named
from routing.answers import Answer, StreamBroken
from routing.call import Call
from routing.gateway import Gateway
from routing.table import Table

PROTOCOL = "openai"

OnText = Callable[[str], Awaitable[None]]
"""Takes each piece of the answer's text as it comes."""


@dataclass(frozen=True, slots=True)
class Said:
    """A group's answer. `target` is `provider/model`, `losses` are codes."""

    response: ChatResponse
    group: str
    target: str
    request_id: str
    losses: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All text of the first choice."""
        parts = self.response.choices[0].parts if self.response.choices else ()
        return "".join(part.text for part in parts if isinstance(part, Text))

    @property
    def media(self) -> tuple[Media, ...]:
        parts = self.response.choices[0].parts if self.response.choices else ()
        return tuple(part for part in parts if isinstance(part, Media))


class AskFailed(Exception):
    """No answer; `error` is what a client would have been told."""

    def __init__(self, error: ChatError) -> None:
        super().__init__(error.message)
        self.error = error


async def ask(
    gateway: Gateway,
    table: Table,
    group: str,
    request: ChatRequest,
    *,
    caller: str = "",
    client: str = "",
    on_text: OnText | None = None,
) -> Said:
    """The group's answer. Raises AskFailed. With `on_text` the answer is streamed."""
    request = replace(request, stream=on_text is not None, stream_usage=True if on_text is not None else None)
    call, lost = call_of(gateway, group, request, caller=caller, client=client)
    codec = call.codec
    answer = await gateway.answer(table, call)
    headers = {name.decode(): value.decode("latin-1") for name, value in answer.headers}
    response = await _response(codec, answer, headers, on_text)
    losses = tuple(filter(None, headers.get("x-hub-losses", "").split(",")))
    return Said(
        response,
        headers.get("x-hub-group", group),
        headers.get("x-hub-target", ""),
        call.id,
        tuple(dict.fromkeys((*lost, *(code.strip() for code in losses)))),
    )


def call_of(
    gateway: Gateway, group: str, request: ChatRequest, *, caller: str = "", client: str = ""
) -> tuple[Call, tuple[str, ...]]:
    """The request as if a client had sent it, and the codes of what could not be put into it.

    Raises AskFailed.
    """
    codec = codec_named(PROTOCOL)
    try:
        encoded = codec.encode_request(request, TargetModel(request.model or group))
    except AdapterError as error:
        raise AskFailed(error.error) from error
    services = gateway.services
    call = Call(
        codec=codec,
        route=next(route for route in codec.routes if route.operation == "chat"),
        prefix=group,
        arrival=Arrival(),
        query="",
        body=dump_bytes(encoded.body),
        stream_type=codec.stream_content_type,
        id=services.new_id(),
        started=services.clock(),
        caller=caller,
        client=client,
    )
    return call, encoded.losses.codes


async def _response(
    codec: Codec, answer: Answer, headers: Mapping[str, str], on_text: OnText | None
) -> ChatResponse:
    if answer.status != 200:
        raise AskFailed(codec.decode_error(answer.status, headers, answer.body))
    try:
        if answer.stream is None:
            return codec.decode_response(orjson.loads(answer.body))
        return await _streamed(codec, answer, on_text)
    except AdapterError as error:
        raise AskFailed(error.error) from error
    except (orjson.JSONDecodeError, StreamBroken) as error:
        raise AskFailed(ChatError("upstream", "the answer broke off", 502)) from error


async def _streamed(codec: Codec, answer: Answer, on_text: OnText | None) -> ChatResponse:
    assert answer.stream is not None
    decoder, assembler = codec.stream_decoder(), Assembler()
    texts: set[tuple[int, int]] = set()
    async with aclosing(answer.stream) as stream:
        async for data in stream:
            events = decoder.feed(data)
            assembler.feed(events)
            for event in events:
                match event:
                    case PartStart(index, Text(), choice):
                        texts.add((choice, index))
                    case PartDelta(index, text, choice) if on_text is not None and (choice, index) in texts:
                        await on_text(text)
    assembler.feed(decoder.close())
    if assembler.error is not None:
        raise AskFailed(assembler.error)
    response = assembler.response
    if response is None:
        raise AskFailed(broken_stream())
    return response
