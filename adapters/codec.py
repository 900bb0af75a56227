"""What a protocol must provide, and the registry that finds them.

A codec is pure: values in, values out. Ids and times that an answer needs come in with `Reply`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from adapters.canonical import NOTHING, ChatError, ChatRequest, ChatResponse, StreamEvent
from adapters.embeddings import EmbeddingRequest, EmbeddingResponse
from adapters.losses import Losses
from adapters.stream_losses import StreamLosses

Operation = Literal["chat", "count_tokens", "models", "model", "embeddings", "compact", "info"]


@dataclass(frozen=True, slots=True)
class Route:
    """A path that the protocol has, below a prefix.

    `path` is a Starlette path template; `{model:path}` stands for a model name with slashes.
    `action` tells apart the variants of one operation (`generate`, `show`, `batch`, …).
    """

    method: Literal["GET", "POST"]
    path: str
    operation: Operation
    action: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a request says outside its JSON body."""

    action: str = ""
    model: str | None = None
    """From the path, where the protocol has it there."""
    stream: bool | None = None
    """From the path (Gemini); None: the body says."""
    headers: Mapping[str, str] = NOTHING
    """Lower-case names. Only what protocols define (`anthropic-beta`, …); never credentials."""


@dataclass(frozen=True, slots=True)
class TargetModel:
    """Who will be asked: the upstream's model name, and whose it is."""

    model: str
    provider: str = ""
    """The provider's name in the settings, or its known name (`openrouter`, `deepseek`, …)."""
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request for an upstream. `path` goes behind the provider's base URL and starts with `/`."""

    path: str
    body: dict[str, Any]
    headers: Mapping[str, str]
    losses: Losses


@dataclass(frozen=True, slots=True)
class Reply:
    """What an answer's encoder has to know of the request, and the ids and time it may use."""

    request: ChatRequest
    """As the client sent it: declared tools, wishes for usage, the model name it used."""
    id: str
    """Unique, `[a-z0-9]`, about 24 characters: the stem of every id that has to be minted."""
    created: int
    """Unix seconds."""
    action: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as the lists show it."""

    id: str
    created: int
    owned_by: str
    display_name: str
    context_length: int = 131_072
    max_output_tokens: int = 32_768
    capabilities: tuple[str, ...] = ("completion", "tools")


class StreamDecoder(Protocol):
    """Bytes of an upstream's stream to events. Any chunking of the same bytes gives the same events."""

    def feed(self, data: bytes) -> list[StreamEvent]: ...

    def close(self) -> list[StreamEvent]:
        """At the end of the bytes: the rest, or a Failure if the stream never finished."""
        ...


class StreamEncoder(Protocol):
    """Events to bytes of the client's stream; state such as indexes and open blocks lives here."""

    losses: StreamLosses
    """What the client could not be told; it grows while the stream goes on."""

    def encode(self, events: Iterable[StreamEvent]) -> bytes:
        """All bytes for these events; b"" if there is nothing to send yet."""
        ...


class Codec(Protocol):
    """One protocol, both ways."""

    name: str
    """As in settings: openai, openai-responses, anthropic, gemini, ollama."""
    title: str
    """For people: "OpenAI Chat Completions"."""
    stream_content_type: str
    routes: tuple[Route, ...]

    # the client's side
    def decode_request(self, body: Mapping[str, Any], arrival: Arrival) -> ChatRequest:
        """Raises InvalidRequest with the JSON path of what is wrong."""
        ...

    def encode_response(self, response: ChatResponse, reply: Reply) -> tuple[dict[str, Any], Losses]: ...

    def stream_encoder(self, reply: Reply) -> StreamEncoder: ...

    def encode_error(self, error: ChatError) -> tuple[int, dict[str, Any]]:
        """HTTP status and JSON body, in the protocol's own shape."""
        ...

    def encode_models(self, models: Sequence[ModelInfo], action: str = "") -> dict[str, Any]: ...

    def encode_model(self, model: ModelInfo, action: str = "") -> dict[str, Any]: ...

    def encode_token_count(self, tokens: int) -> dict[str, Any]: ...

    # the upstream's side
    def encode_request(self, request: ChatRequest, target: TargetModel) -> Encoded:
        """Raises Unsupported where not even a loss can be reported."""
        ...

    def decode_response(self, body: Mapping[str, Any]) -> ChatResponse:
        """Raises InvalidResponse."""
        ...

    def stream_decoder(self) -> StreamDecoder: ...

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ChatError:
        """From an upstream's answer that is not 2xx. Never raises."""
        ...

    def authorization(self, key: str) -> dict[str, str]:
        """The header that carries the key (never the URL)."""
        ...

    def passthrough_path(self, model: str, arrival: Arrival) -> str:
        """The path behind the base URL for a body that goes through as it is."""
        ...


@runtime_checkable
class EmbeddingsCodec(Protocol):
    """What a codec has besides if its protocol has embeddings. The routes' operation is `embeddings`."""

    # the client's side
    def decode_embedding_request(self, body: Mapping[str, Any], arrival: Arrival) -> EmbeddingRequest:
        """Raises InvalidRequest; Unsupported for what no other protocol could be told."""
        ...

    def encode_embedding_response(
        self, response: EmbeddingResponse, request: EmbeddingRequest, action: str
    ) -> dict[str, Any]:
        """The response has a vector for each input."""
        ...

    # the upstream's side
    def encode_embedding_request(self, request: EmbeddingRequest, target: TargetModel) -> Encoded:
        """Raises Unsupported."""
        ...

    def decode_embedding_response(self, body: Mapping[str, Any]) -> EmbeddingResponse:
        """Raises InvalidResponse."""
        ...

    # for what passes through
    def embedding_tokens(self, body: Mapping[str, Any]) -> int | None:
        """How many tokens of input an answer says."""
        ...

    def name_embedding_model(self, body: Mapping[str, Any], model: str) -> dict[str, Any] | None:
        """The request with the model's name in other places than at the top; None: it is in none."""
        ...
