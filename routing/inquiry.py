"""What a target is asked for a client's request: its own bytes passed on, or converted. Pure.

`Exchange` sends it; `explain` shows it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from adapters.canonical import ChatError, ChatRequest, ProviderTool
from adapters.codec import EmbeddingsCodec, Encoded
from adapters.compat import compat_request
from adapters.embeddings import EmbeddingRequest
from adapters.errors import STATUS, InvalidRequest, Unsupported
from adapters.jsontext import dump_bytes
from adapters.losses import Loss, Losses
from adapters.peek import Peek, exact, replace_model
from adapters.places import located
from adapters.server_search import NAME, SIGNS, Offered, is_search, remembering, with_function
from adapters.signatures import SIGN, bare, knows_no_wrapper
from routing.adjust import adjust, with_extra_body
from routing.call import Call
from routing.facts import Facts
from routing.plan import GroupPlan, Stage, Way, stages
from routing.search_tools import searches_itself
from routing.signs import without_marker
from routing.upstream import UpstreamRequest

_MOST_NAMED = 20
"""Losses that one message names."""


class Asked(NamedTuple):
    """A request for an upstream, and what of the client's could not be put into it."""

    request: UpstreamRequest
    losses: Losses


class Inquiry:
    """A client's request, decoded at most once."""

    def __init__(self, plan: GroupPlan, call: Call, peeked: Peek, model: str) -> None:
        self.plan = plan
        self.call = call
        self.peeked = peeked
        self.model = model
        """The model's name as the client sent it; "": none."""
        self.is_chat = call.route.operation in ("chat", "compact")
        self._request: ChatRequest | None = None
        self._embedding_request: EmbeddingRequest | None = None
        self.rule = ""
        """The rule that held, by its name or number; "": none."""
        self._first_plan = plan
        self._facts: Facts | None = None
        self.offered: Offered | None = None
        """With a function in the place of the web search, where the target that is asked now has none."""

    @property
    def facts(self) -> Facts:
        """What rules ask of the request."""
        if self._facts is None:
            call = self.call
            stream = self.peeked.stream if call.arrival.stream is None else call.arrival.stream
            read = self.request if self.is_chat or call.route.operation == "count_tokens" else None
            self._facts = Facts(call, self.model, stream, read)
        return self._facts

    def stages(self) -> list[Stage]:
        """Whom to ask in turn, by the rules of the group that is asked now."""
        plan = self.plan
        if not plan.rules:
            return [plan.stage(self.model)]
        found, index = stages(plan, self.model, self.facts)
        if index is not None:
            self.rule = plan.rules[index].rule.title(index)
        return found

    @property
    def is_decoded(self) -> bool:
        return self._request is not None

    def request(self) -> ChatRequest:
        """As the client sent it. Raises InvalidRequest."""
        if self._request is None:
            document = exact(self.peeked.document, self.call.body)
            self._request = self.call.codec.decode_request(document, self.call.arrival)
        return self._request

    def sent(self) -> ChatRequest:
        """What the target that is asked now is to answer."""
        return self.offered.request if self.offered is not None else self.request()

    def embedding_request(self) -> EmbeddingRequest:
        """As the client sent it. Raises InvalidRequest, Unsupported."""
        if self._embedding_request is None:
            codec = self.call.codec
            assert isinstance(codec, EmbeddingsCodec)  # it has the route
            self._embedding_request = codec.decode_embedding_request(self.peeked.document, self.call.arrival)
        return self._embedding_request

    def wants_stream(self) -> bool | None:
        """None: neither path nor body say so, and the protocol's own default holds."""
        if self.call.arrival.stream is not None:
            return self.call.arrival.stream
        return self._request.stream if self._request is not None else self.peeked.stream

    def reaches(self, way: Way) -> bool:
        """Whether this operation can be asked of that target: chats and embeddings can be converted."""
        if self.is_chat or way.codec is self.call.codec:
            return True
        return self.call.route.operation == "embeddings" and isinstance(way.codec, EmbeddingsCodec)

    def nobody(self) -> ChatError:
        """What the client is told where no target is reached."""
        name = self.plan.group.name
        ways = self.plan.all_ways()
        if not ways:
            message = f"group `{name}` has no targets: give it one in the settings"
            return ChatError("upstream", message, STATUS["upstream"])
        if self.call.route.operation == "embeddings":
            titles = " and ".join(dict.fromkeys(way.codec.title for way in ways))
            message = f"group `{name}` cannot embed: there are no embeddings in {titles}"
            message += ". Ask another group, or give this one a target that speaks openai, gemini or ollama"
        else:
            what, title = self.call.route.operation, self.call.codec.title
            message = f"{what} is passed on to targets that speak {title}, and group `{name}` has none"
        return ChatError("unsupported", message, 501)

    def passes_through(self, way: Way) -> bool:
        return way.codec is self.call.codec and not (
            self.is_chat
            and (
                way.adjustment is not None
                or self.reads_calls
                or self.has_marker
                or self._has_searched
                or self._has_wrapped(way)
                or self._emulates(way)
            )
        )

    @property
    def _has_searched(self) -> bool:
        """Whether earlier turns have searches that the hub ran: the provider cannot read them."""
        return bool(self.plan.group.emulate) and any(self.call.body.rfind(sign) >= 0 for sign in SIGNS)

    def _has_wrapped(self, way: Way) -> bool:
        """Whether earlier turns have other makers' signatures, and the target knows nothing of hubs."""
        # `rfind` takes half of the time that `in` does on a large body.
        return knows_no_wrapper(way.target.provider.base_url) and self.call.body.rfind(SIGN) >= 0

    def _emulates(self, way: Way) -> bool:
        """Whether the hub runs the searches of this request."""
        if NAME not in self.plan.group.emulate or self.call.route.operation != "chat":
            return False
        try:
            tools = self.request().tools
        except InvalidRequest:
            return False
        return any(
            isinstance(tool, ProviderTool) and is_search(tool) and not searches_itself(way, tool.protocol)
            for tool in tools
        )

    @property
    def reads_calls(self) -> bool:
        """Whether calls are looked for in the text of answers."""
        return self.call.compat or self.plan.group.tool_repair

    @property
    def has_marker(self) -> bool:
        """Whether the prompt has a marker for the group's rules, which is no text for the model."""
        return self._first_plan.reads_marker and self.facts.marker is not None

    def asked(self, way: Way, key: int) -> Asked:
        """Raises InvalidRequest; Unsupported also for losses where the group refuses them."""
        self.offered = None
        if self.passes_through(way):
            return Asked(self._forward(way, key), Losses())
        if self._emulates(way):
            self.offered = with_function(self.request())
        return self._convert(way, key)

    def asked_again(self, way: Way, key: int, request: ChatRequest) -> Asked:
        """For the next part of an answer in which the target has searched. Raises as `asked`."""
        assert self.offered is not None
        self.offered = replace(self.offered, request=request, losses=Losses())
        return self._convert(way, key)

    def _forward(self, way: Way, key: int) -> UpstreamRequest:
        """The client's own bytes, but for the model's name."""
        call = self.call
        model = way.model(self.model)
        body = call.body
        if "{model" not in call.route.path and model and body:
            body = replace_model(body, self.peeked, model)
        if call.route.operation == "embeddings" and isinstance(call.codec, EmbeddingsCodec):
            renamed = call.codec.name_embedding_model(self.peeked.document, model)
            body = body if renamed is None else dump_bytes(renamed)
        path = call.codec.passthrough_path(model, call.arrival)
        query = call.query
        if "?" in path and query:  # the codec's own query stands for the client's
            path, query = path.partition("?")[0], query
        headers = way.headers(key, call.arrival.headers)
        return way.request(way.url(path, query), headers, body)

    def _convert(self, way: Way, key: int) -> Asked:
        """The request in the target's protocol."""
        encoded = self._encoded(way)
        if self.offered is not None:
            encoded.losses.extend(self.offered.losses)
        encoded = replace(encoded, losses=located(encoded.losses, self.call.codec.name))
        if len(encoded.losses) and self.plan.group.losses == "refuse":
            raise Unsupported(_refusal(self.plan.group.name, way, encoded.losses))
        body = encoded.body
        if self.is_chat and way.adjustment is not None:
            body = with_extra_body(body, way.adjustment)
        headers = way.headers(key, encoded.headers)
        request = way.request(way.url(encoded.path), headers, dump_bytes(body))
        return Asked(request, encoded.losses)

    def _encoded(self, way: Way) -> Encoded:
        if not self.is_chat and isinstance(way.codec, EmbeddingsCodec):
            return way.codec.encode_embedding_request(self.embedding_request(), way.target_model(self.model))
        request = self.sent()
        if self._has_wrapped(way):
            request = bare(request)
        if self.offered is None and self._has_searched:
            request = remembering(request)
        if self.has_marker:
            request = without_marker(request)
        if way.adjustment is not None:
            request = adjust(request, way.adjustment)
        if not self.call.compat:
            return way.codec.encode_request(request, way.target_model(self.model))
        request, losses = compat_request(request)
        encoded = way.codec.encode_request(request, way.target_model(self.model))
        losses.extend(encoded.losses)
        return replace(encoded, losses=losses)


def _refusal(group: str, way: Way, losses: Losses) -> str:
    told = list(dict.fromkeys(_told(loss) for loss in losses))
    named = "; ".join(told[:_MOST_NAMED])
    more = f"; and {len(told) - _MOST_NAMED} more" if len(told) > _MOST_NAMED else ""
    return (
        f"group `{group}` refuses what would be lost, and {way.label.decode()} ({way.codec.title}) cannot be "
        f"told: {named}{more}. Leave it out of the request, or set `losses: allow` in the group"
    )


def _told(loss: Loss) -> str:
    return f"`{loss.code}` at {loss.where or 'the top'}"
