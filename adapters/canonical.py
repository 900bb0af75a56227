"""The one chat model that every protocol is decoded into and encoded from.

Values only: frozen, comparable, without I/O. Three ideas carry it:

* A conversation is a list of messages, a message a list of parts. Parts keep the order in which
  their protocol had them.
* What a protocol says beyond this model is kept in `extensions`, keyed by the protocol's name, on
  the value where it stood. An encoder merges back its own protocol's bag and reports the others'.
* Whatever only its maker can read (signatures, encrypted or redacted reasoning) is a `Signature`
  with its origin, and goes back to that origin only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

Extensions = Mapping[str, Mapping[str, Any]]
"""Protocol name -> the JSON keys of that protocol which have no place in this model."""


class _Nothing(Mapping[str, Any]):
    """An empty mapping that can be a dataclass field's default (those have to be hashable)."""

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"


NOTHING: Mapping[str, Any] = _Nothing()
NO_EXTENSIONS: Extensions = NOTHING

_PLACE: str = field(default="", compare=False, repr=False)
"""The JSON path in the client's body, for losses to tell: no part of what the value means."""

Role = Literal["system", "developer", "user", "assistant", "tool"]


# ---------------------------------------------------------------- parts


@dataclass(frozen=True, slots=True)
class Signature:
    """Opaque proof or ciphertext that only `origin` (a protocol's name) can read."""

    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    extensions: Extensions = NO_EXTENSIONS
    tag: Literal["text"] = "text"
    place: str = _PLACE


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model's own words of refusal."""

    text: str
    extensions: Extensions = NO_EXTENSIONS
    tag: Literal["refusal"] = "refusal"
    place: str = _PLACE


@dataclass(frozen=True, slots=True)
class Base64Source:
    """Inline bytes, as standard base64 text."""

    data: str


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A link that the provider fetches: http(s), or gs:// and the like. Never a data URL."""

    url: str


@dataclass(frozen=True, slots=True)
class FileIdSource:
    """A file that was uploaded to the provider which speaks `origin`."""

    file_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class PlainTextSource:
    """A document that is given as text."""

    text: str


MediaSource = Base64Source | UrlSource | FileIdSource | PlainTextSource
MediaKind = Literal["image", "document", "audio", "video"]


@dataclass(frozen=True, slots=True)
class Media:
    """An image, document, sound or video. `media_type` is a MIME type, "" where it is unknown."""

    kind: MediaKind
    source: MediaSource
    media_type: str = ""
    name: str | None = None
    """File name or title."""
    detail: str | None = None
    """OpenAI's image detail: low, high, auto."""
    extensions: Extensions = NO_EXTENSIONS
    tag: Literal["media"] = "media"
    place: str = _PLACE


@dataclass(frozen=True, slots=True)
class Thinking:
    """Reasoning that the provider shows, or (redacted) only lets us carry in `signature`."""

    text: str
    signature: Signature | None = None
    redacted: bool = False
    id: str | None = None
    extensions: Extensions = NO_EXTENSIONS
    tag: Literal["thinking"] = "thinking"
    place: str = _PLACE


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's call of a tool that the client runs.

    `arguments` is JSON text verbatim for `function` (possibly invalid JSON, possibly empty) and
    free text for `custom`.
    """

    id: str
    name: str
    arguments: str = ""
    kind: Literal["function", "custom"] = "function"
    namespace: str | None = None
    signature: Signature | None = None
    extensions: Extensions = NO_EXTENSIONS
    tag: Literal["tool_call"] = "tool_call"
    place: str = _PLACE


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the client's tool answered to the call `call_id`."""

    call_id: str
    content: tuple[Part, ...] = ()
    name: str | None = None
    is_error: bool = False
    kind: Literal["function", "custom"] = "function"
    extensions: Extensions = NO_EXTENSIONS
    tag: Literal["tool_result"] = "tool_result"
    place: str = _PLACE


@dataclass(frozen=True, slots=True)
class Opaque:
    """An item that only the protocol `protocol` has (a server tool's call or result, …), verbatim.

    `text` tells it in words for other protocols; "" where nothing sensible can be told.
    """

    protocol: str
    kind: str
    value: Mapping[str, Any]
    text: str = ""
    tag: Literal["opaque"] = "opaque"
    place: str = _PLACE


Part = Text | Refusal | Media | Thinking | ToolCall | ToolResult | Opaque


@dataclass(frozen=True, slots=True)
class Message:
    """One turn or a piece of one. Neighbours of the same role are allowed; encoders merge them.

    Tool results stand in a message of role `tool` (results only) or, where the protocol has them
    there, among the other parts of a `user` message.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    extensions: Extensions = NO_EXTENSIONS
    place: str = _PLACE


Placed = TypeVar("Placed", bound="Part | Message | Tool | ProviderTool")


def placed(value: Placed, place: str) -> Placed:
    """`value`, which its decoder has just made, with the JSON path at which it stood."""
    if not value.place:
        object.__setattr__(value, "place", place)
    return value


# ---------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the client runs. `parameters` is JSON Schema, `format` a custom tool's grammar."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    kind: Literal["function", "custom"] = "function"
    format: Mapping[str, Any] | None = None
    strict: bool | None = None
    namespace: str | None = None
    extensions: Extensions = NO_EXTENSIONS
    place: str = _PLACE


@dataclass(frozen=True, slots=True)
class ProviderTool:
    """A tool that the provider defines or runs itself (web search, code execution, …), verbatim."""

    protocol: str
    kind: str
    definition: Mapping[str, Any]
    name: str | None = None
    place: str = _PLACE


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`named`: exactly the one in `names`. `names` with auto or required: only those are allowed."""

    mode: Literal["auto", "none", "required", "named"]
    names: tuple[str, ...] = ()
    extensions: Extensions = NO_EXTENSIONS


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """`json` is any JSON object, `json_schema` one that fits `schema`."""

    kind: Literal["text", "json", "json_schema"]
    schema: Mapping[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    extensions: Extensions = NO_EXTENSIONS


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How much the model shall think.

    `enabled` False switches it off, None leaves it to the model. `budget` is in tokens; -1 lets the
    model choose. `effort` is a level. `adaptive`: Anthropic's word for "the model chooses".
    `show` says whether thoughts are wanted in the answer, `summary` OpenAI's style of them.
    """

    enabled: bool | None = None
    effort: Effort | None = None
    budget: int | None = None
    adaptive: bool = False
    show: bool | None = None
    summary: str | None = None
    extensions: Extensions = NO_EXTENSIONS


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request for one answer. `None` always means: the client did not say."""

    model: str
    messages: tuple[Message, ...]
    instructions: tuple[Part, ...] = ()
    """System text from the protocol's own slot beside the conversation (Anthropic `system`,
    Gemini `systemInstruction`, Responses `instructions`). System messages stay in `messages`."""
    tools: tuple[Tool | ProviderTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    output_format: OutputFormat | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    user: str | None = None
    metadata: Mapping[str, str] | None = None
    service_tier: str | None = None
    stream: bool = False
    stream_usage: bool | None = None
    """Whether the client asked for usage in the stream (OpenAI's `include_usage`)."""
    extensions: Extensions = NO_EXTENSIONS


# ---------------------------------------------------------------- answers

StopReason = Literal[
    "stop",  # the model came to its end
    "stop_sequence",  # one of the client's stop sequences
    "length",  # the limit of output tokens
    "context_window",  # the model's context is full
    "tool_calls",  # the client has to run tools
    "content_filter",  # the provider cut it
    "refusal",  # the model or a classifier refused
    "pause",  # the provider paused a long turn; send it back to continue
    "error",  # the provider gave up (malformed call, …)
    "other",
]


@dataclass(frozen=True, slots=True)
class FinishReason:
    """`unified` for the tables, `raw` as the upstream said it."""

    unified: StopReason
    raw: str | None = None
    stop_sequence: str | None = None
    extensions: Extensions = NO_EXTENSIONS


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `input_tokens` includes cached ones, `output_tokens` includes reasoning."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int | None = None
    """Of the input: read from the provider's cache."""
    cache_write_tokens: int | None = None
    """Of the input: written to the provider's cache."""
    reasoning_tokens: int | None = None
    estimated: bool = False
    extensions: Extensions = NO_EXTENSIONS


@dataclass(frozen=True, slots=True)
class Choice:
    parts: tuple[Part, ...]
    finish: FinishReason
    index: int = 0
    extensions: Extensions = NO_EXTENSIONS


@dataclass(frozen=True, slots=True)
class ChatResponse:
    """A whole answer. Nearly always one choice; more only where the client asked for `n`."""

    id: str
    model: str
    choices: tuple[Choice, ...]
    usage: Usage | None = None
    created: int | None = None
    """Unix seconds."""
    service_tier: str | None = None
    extensions: Extensions = NO_EXTENSIONS


# ---------------------------------------------------------------- stream events
#
# Grammar (adapters.grammar walks it):
#   StreamStart  ( PartStart PartDelta* PartUpdate* PartEnd )*  Finish+  UsageUpdate*  StreamEnd
# Parts may overlap (parallel calls whose deltas interleave); each index is used once in a choice and
# counts from 0 in order of appearance. KeepAlive and UsageUpdate may stand anywhere after the start.
# A Failure may stand anywhere, once, and is the last event.


@dataclass(frozen=True, slots=True)
class StreamStart:
    id: str
    model: str
    created: int | None = None
    usage: Usage | None = None
    """What is known at the start (Anthropic tells the input count here)."""
    service_tier: str | None = None
    extensions: Extensions = NO_EXTENSIONS


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins. `part` is its skeleton: text and arguments empty, the rest as far as known.

    Media and Opaque come whole. Deltas append.
    """

    index: int
    part: Part
    choice: int = 0


@dataclass(frozen=True, slots=True)
class PartDelta:
    """More text of a Text, Refusal or Thinking part, or more argument text of a ToolCall."""

    index: int
    text: str
    choice: int = 0
    extensions: Extensions = NO_EXTENSIONS


@dataclass(frozen=True, slots=True)
class PartUpdate:
    """What became known later: a signature (replaces), extensions (merged into the part's)."""

    index: int
    signature: Signature | None = None
    extensions: Extensions = NO_EXTENSIONS
    choice: int = 0


@dataclass(frozen=True, slots=True)
class PartEnd:
    index: int
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """A choice ended. All its parts have ended before."""

    reason: FinishReason
    choice: int = 0
    extensions: Extensions = NO_EXTENSIONS


@dataclass(frozen=True, slots=True)
class UsageUpdate:
    """The counts so far; a later one replaces an earlier one."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The stream is complete."""

    extensions: Extensions = NO_EXTENSIONS


@dataclass(frozen=True, slots=True)
class Failure:
    """The stream broke: said by the upstream, or cut."""

    error: ChatError


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Nothing to say, still alive."""


StreamEvent = (
    StreamStart
    | PartStart
    | PartDelta
    | PartUpdate
    | PartEnd
    | Finish
    | UsageUpdate
    | StreamEnd
    | Failure
    | KeepAlive
)


# ---------------------------------------------------------------- errors, as values

ErrorKind = Literal[
    "invalid_request",
    "authentication",
    "billing",
    "permission",
    "not_found",
    "conflict",
    "too_large",
    "rate_limit",
    "timeout",
    "overloaded",
    "upstream",
    "unsupported",
    "internal",
]


@dataclass(frozen=True, slots=True)
class ChatError:
    """An error that a client is told in its own protocol's shape."""

    kind: ErrorKind
    message: str
    status: int
    where: str | None = None
    """JSON path of the offending field, where one is known."""
    code: str | None = None
    """The provider's own code."""
    retry_after: float | None = None
    """Seconds."""
    extensions: Extensions = field(default=NO_EXTENSIONS)
