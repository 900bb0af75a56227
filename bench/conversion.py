"""What a conversion costs: CPU time in this process, for every pair of protocols."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from adapters.canonical import (
    ChatRequest,
    Finish,
    FinishReason,
    Message,
    PartDelta,
    PartEnd,
    PartStart,
    StreamEnd,
    StreamEvent,
    StreamStart,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
    UsageUpdate,
)
from adapters.codec import Arrival, Codec, Reply, TargetModel
from adapters.jsontext import dump_bytes
from adapters.peek import peek
from adapters.registry import BUILT_IN, codec

SIZES = {"1 KB": (1, 1, 220), "20 KB": (12, 6, 1000), "200 KB": (60, 40, 1920)}
"""Heading -> number of messages, number of tools, characters of the texts and descriptions."""
CHUNKS = 200

TARGET = TargetModel("bench-model", "bench", "http://127.0.0.1/v1")


@dataclass(frozen=True)
class Row:
    """Microseconds of CPU: for a whole request of each size, and for one chunk of a stream."""

    client: str
    target: str
    requests: tuple[float, ...]
    chunk: float


def request(messages: int, tools: int, length: int) -> ChatRequest:
    """A coding agent's session: questions, calls of tools, what these answer, and conclusions."""
    turns: list[Message] = []
    for turn in range(messages):
        call = f"call_{turn // 4}"
        text = f"Turn {turn}. " + "Some source code follows, or it is told what it does. " * (length // 54)
        match turn % 4:
            case 1:
                arguments = json.dumps({"path": f"src/module_{turn}.py", "old": text[: length // 2]})
                turns.append(Message("assistant", (Text("I look."), ToolCall(call, "tool_0", arguments))))
            case 2:
                turns.append(Message("tool", (ToolResult(call, (Text(text),), "tool_0"),)))
            case 3:
                turns.append(Message("assistant", (Text(text),)))
            case _:
                turns.append(Message("user", (Text(text),)))
    # What comes last is the user's, or what a tool answered.
    while turns[-1].role == "assistant":
        turns[-1] = Message("user", (Text("Go on. " + "And then some. " * (length // 15)),))
    description = "What the tool does, when to use it and when not. " * (length // 49)
    properties = {
        name: {"type": "string", "description": f"The {name}. " * 6} for name in ("path", "old", "new")
    }
    schema = {"type": "object", "properties": properties, "required": ["path"]}
    return ChatRequest(
        model="bench-model",
        instructions=(Text("You are a careful engineer."),),
        messages=tuple(turns),
        tools=tuple(Tool(f"tool_{index}", description, schema) for index in range(tools)),
        max_tokens=4096,
        temperature=0.5,
        stream=True,
    )


def events(chunks: int) -> Iterator[list[StreamEvent]]:
    """A stream whose every chunk has a word of text."""
    yield [StreamStart("bench", "bench-model", 1), PartStart(0, Text(""))]
    for number in range(chunks):
        yield [PartDelta(0, f" word{number}")]
    yield [PartEnd(0), Finish(FinishReason("stop")), UsageUpdate(Usage(100, chunks)), StreamEnd()]


def arrival(client: Codec) -> Arrival:
    """As a request of this protocol for a stream comes."""
    if client.name == "gemini":
        return Arrival("streamGenerateContent?alt=sse", "bench-model", True)
    return Arrival()


def convert(client: Codec, target: Codec, body: bytes) -> bytes:
    """All that the hub does with a request's bytes: parse, decode, encode, write."""
    decoded = client.decode_request(peek(body).document, arrival(client))
    return dump_bytes(target.encode_request(decoded, TARGET).body)


def convert_stream(client: Codec, target: Codec, pieces: list[bytes], reply: Reply) -> bytes:
    """All that the hub does with a stream's bytes, each piece on its own as it is read."""
    decoder, encoder = target.stream_decoder(), client.stream_encoder(reply)
    converted = [encoder.encode(decoder.feed(piece)) for piece in pieces]
    return b"".join((*converted, encoder.encode(decoder.close())))


def upstream_stream(target: Codec, reply: Reply) -> list[bytes]:
    encoder = target.stream_encoder(reply)
    return [piece for each in events(CHUNKS) if (piece := encoder.encode(each))]


def microseconds(action: Callable[[], object], *, rounds: int, seconds: float) -> float:
    """CPU time of one `action`: the median of the rounds' means."""
    action()
    found = []
    for _ in range(rounds):
        gc.collect()
        count, spent, began = 0, 0.0, time.process_time()
        while not count or spent < seconds:
            action()
            count += 1
            spent = time.process_time() - began
        found.append(spent / count * 1e6)
    return statistics.median(found)


def run(*, rounds: int, seconds: float) -> Iterator[Row]:
    """Every pair of the built-in protocols; `seconds` of CPU time for each figure and round."""
    codecs = [codec(name) for name in BUILT_IN]
    requests = [request(*size) for size in SIZES.values()]
    reply = Reply(requests[0], "bench", 1, arrival(codec("gemini")).action)
    for client in codecs:
        bodies = [dump_bytes(client.encode_request(each, TARGET).body) for each in requests]
        for target in codecs:
            for each, body in zip(requests, bodies, strict=True):
                converted = convert(client, target, body)
                assert all(f'"{tool.name}"'.encode() in converted for tool in each.tools)
                assert b"careful engineer" in converted
            pieces = upstream_stream(target, reply)
            whole = convert_stream(client, target, pieces, reply)
            assert b" word0" in whole
            assert f" word{CHUNKS - 1}".encode() in whole

            def one(body: bytes, client: Codec = client, target: Codec = target) -> float:
                return microseconds(lambda: convert(client, target, body), rounds=rounds, seconds=seconds)

            def stream(client: Codec = client, target: Codec = target, pieces: list[bytes] = pieces) -> bytes:
                return convert_stream(client, target, pieces, reply)

            chunk = microseconds(stream, rounds=rounds, seconds=seconds) / len(pieces)
            yield Row(client.name, target.name, tuple(one(body) for body in bodies), chunk)


def worst(rows: list[Row]) -> Row:
    """The most of each figure, over the pairs that convert."""
    foreign = [row for row in rows if row.client != row.target]
    sizes = tuple(max(row.requests[index] for row in foreign) for index in range(len(SIZES)))
    return Row("the most", "of all pairs", sizes, max(row.chunk for row in foreign))
