"""The cases: for each protocol and feature a short request, answer, stream or error, made by hand.

A file `cases/<protocol>/<feature>.yaml` has some of the keys `request` (what a client sends), `answer`
and `stream` (what an upstream says; the stream as the documents of its events), `error` (an upstream's
answer that is no success), `model` and `provider` (where the feature needs what is not the usual).
A protocol that cannot say a feature has no file, or not all keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from adapters.codec import Arrival, Codec, Reply, TargetModel
from adapters.registry import BUILT_IN, codec

FOLDER = Path(__file__).parent / "cases"

PROTOCOLS = tuple(BUILT_IN)
PAIRS = tuple((client, target) for client in PROTOCOLS for target in PROTOCOLS)

MODELS = {
    "openai": "gpt-4.1",
    "openai-responses": "gpt-4.1",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
    "ollama": "qwen3",
}
"""What a target is asked for where its own case of the feature names no other model."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Case:
    """One feature in one protocol."""

    protocol: str
    feature: str
    title: str = ""
    request: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None
    stream: tuple[Any, ...] = ()
    error: Mapping[str, Any] | None = None
    model: str | None = None
    provider: str = ""

    @property
    def target(self) -> TargetModel:
        return TargetModel(self.model or MODELS[self.protocol], self.provider)


@cache
def case(protocol: str, feature: str) -> Case:
    """The case, an empty one where the protocol has none."""
    path = FOLDER / protocol / f"{feature}.yaml"
    if not path.exists():
        return Case(protocol, feature)
    text = path.read_text(encoding="utf-8")
    document = yaml.load(text, _LOADER)
    return Case(
        protocol,
        feature,
        text.partition("\n")[0].removeprefix("# "),
        document.get("request"),
        document.get("answer"),
        tuple(document.get("stream", ())),
        document.get("error"),
        document.get("model"),
        document.get("provider", ""),
    )


@cache
def features() -> tuple[str, ...]:
    """Every feature that some protocol has, the simplest first."""
    return tuple(sorted({path.stem for path in FOLDER.glob("*/*.yaml")}))


def cases_with(key: str) -> list[Case]:
    """All cases that have a `request`, an `answer`, a `stream` or an `error`."""
    found = (case(protocol, feature) for protocol in PROTOCOLS for feature in features())
    return [one for one in found if getattr(one, key)]


# ---------------------------------------------------------------- what stands outside a body


def arrival(protocol: str, *, stream: bool = False, model: str | None = None) -> Arrival:
    if protocol == "gemini":
        action = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return Arrival(action, model or MODELS[protocol], stream)
    return Arrival("chat" if protocol == "ollama" else "")


def as_stream(protocol: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The same request, asking for a stream."""
    if protocol == "gemini":
        return dict(body)
    asked = {**body, "stream": True}
    return {**asked, "stream_options": {"include_usage": True}} if protocol == "openai" else asked


def reply(client: str, feature: str, *, stream: bool = False) -> Reply:
    """What the encoder of the client's answer knows: its own request of the feature, or a plain one."""
    asked = case(client, feature)
    body = asked.request or case(client, "text").request
    assert body is not None
    body = as_stream(client, body) if stream else body
    at = arrival(client, stream=stream, model=asked.model)
    return Reply(codec(client).decode_request(body, at), "0123456789abcdef", 1_700_000_000, at.action)


def frames(protocol: str, documents: tuple[Any, ...]) -> bytes:
    """The bytes of an upstream's stream."""
    out = []
    for document in documents:
        text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
        if protocol == "ollama":
            out.append(f"{text}\n")
        elif protocol in ("anthropic", "openai-responses"):
            out.append(f"event: {document['type']}\ndata: {text}\n\n")
        else:
            out.append(f"data: {text}\n\n")
    return "".join(out).encode()


def protocol_codec(name: str) -> Codec:
    return codec(name)
