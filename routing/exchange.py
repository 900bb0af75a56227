"""One request on its way: a target asked, its answer received, what happened recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from adapters.call_ids import FreshIds, FreshIdsDecoder
from adapters.canonical import ChatError, ChatRequest, ChatResponse, Usage
from adapters.codec import Reply, StreamDecoder
from adapters.compat import CallsDecoder, DeclaredTools, response_with_calls
from adapters.conversation import response_id
from adapters.errors import InvalidResponse, Unsupported
from adapters.losses import Losses
from adapters.peek import Peek
from routing.affinity import Places
from routing.answers import Answer, Headers, HeldStream, error_answer, forwarded, json_answer, losses_header
from routing.call import Call
from routing.failover import Search
from routing.health import Health, Hold
from routing.inquiry import Inquiry
from routing.plan import Attempt, GroupPlan, Prepared, Way, header_value
from routing.policy import (
    EMPTY_ACCOUNT,
    FAULT_ERRORS,
    TELL,
    Step,
    after_error,
    after_fault,
    after_status,
    cooldown,
    retry_after,
)
from routing.refused import Refused
from routing.search_tools import RunSearch
from routing.upstream import Upstream, UpstreamAnswer, UpstreamFault, UpstreamRequest
from routing.usage import Record, Sink, cost

log = logging.getLogger("hub.routing")

CLIENT_GONE = 499
"""nginx's status for a client that did not wait; only in records."""
CLIENT_GONE_KIND = "client_gone"
LONGEST_ERROR = 2**20
LONGEST_ANSWER = 2**28
_LOOKED_AT = 2**12
"""Bytes of an answer in which its id is looked for."""


@dataclass(frozen=True, slots=True)
class Services:
    """What an exchange works with."""

    upstream: Upstream
    health: Health
    clock: Callable[[], float]
    """Monotonic seconds."""
    now: Callable[[], float]
    """Unix seconds."""
    random: Callable[[], float]
    new_id: Callable[[], str]
    keep_alive: float
    """Seconds of silence after which a stream's client is sent a sign of life."""
    sink: Sink | None
    places: Places
    """Where conversations are."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    search: RunSearch | None = None
    """Runs a tool of the hub's that stands for a provider's web search; None: groups emulate none."""


class Exchange(Inquiry):
    """State of one request: what was decoded, who was asked, what is to be recorded."""

    def __init__(
        self, services: Services, prepared: Prepared, plan: GroupPlan, call: Call, peeked: Peek, model: str
    ) -> None:
        super().__init__(plan, call, peeked, model)
        self.services = services
        self.redactor = prepared.redactor
        self.usage: Usage | None = None
        self.bytes_out = 0
        self.text_out = 0
        """Bytes of text in what has been converted of a stream."""
        self.error_kind: str | None = None
        """Of what broke a stream that had begun."""
        self.losses: tuple[str, ...] = ()
        self.tries = 0
        self.first_byte: float | None = None
        self.way: Way | None = None
        self.key = 0
        """Which of the way's keys it is asked with."""
        self.response_id: str | None = None
        """By which a later request can continue this answer at the one who made it."""
        self._hold: Hold | None = None
        self._upstream: UpstreamAnswer | None = None
        self._recorded = False

    # ------------------------------------------------------------ the request

    def reply(self) -> Reply:
        services = self.services
        return Reply(self.request(), services.new_id(), int(services.now()), self.call.arrival.action)

    def response(self, way: Way, document: dict[str, Any]) -> ChatResponse:
        """An upstream's whole answer. Raises InvalidResponse."""
        response = way.codec.decode_response(document)
        if tools := self._callable_tools():
            response = response_with_calls(response, tools, self.services.new_id())
        return self._fresh_ids().response(response) if self.request().tools else response

    def stream_decoder(self, way: Way) -> StreamDecoder:
        decoder = way.codec.stream_decoder()
        if tools := self._callable_tools():
            decoder = CallsDecoder(decoder, tools, self.services.new_id())
        return FreshIdsDecoder(decoder, self._fresh_ids()) if self.request().tools else decoder

    def _fresh_ids(self) -> FreshIds:
        return FreshIds(self.sent(), self.services.new_id())

    def _callable_tools(self) -> DeclaredTools | None:
        """The tools whose calls are looked for in the text of the answer."""
        return DeclaredTools(self.sent()) if self.reads_calls else None

    def note(self, losses: Losses) -> None:
        """For `x-hub-losses`, and for the log: a warning unless the group allows losses."""
        if not len(losses):
            return
        self.losses = tuple(dict.fromkeys((*self.losses, *losses.codes)))
        level = logging.DEBUG if self.plan.group.losses == "allow" else logging.WARNING
        if log.isEnabledFor(level):
            group = self.plan.group.name
            for loss in losses:
                where = loss.where or "the top"
                log.log(
                    level,
                    "request %s (%s) lost %s at %s: %s",
                    self.call.id,
                    group,
                    loss.code,
                    where,
                    loss.detail,
                )

    # ------------------------------------------------------------ the targets

    async def run(self, receive: Receive) -> Answer:
        """Ask until somebody answers. `receive` makes the client's answer of the upstream's."""
        plan = self.plan
        ways = plan.pool(self.model)
        if plan.rules or not plan.lone(ways) or not self.reaches(ways[0]):
            return await Search(self, receive).answer()
        try:
            return await self.ask(Attempt(ways[0], 0), receive)
        except Refused as refused:
            return self.tell(refused)
        except Unsupported as unsupported:
            return self.tell(Refused(unsupported.error, TELL))

    async def ask(self, attempt: Attempt, receive: Receive) -> Answer:
        """Raises Refused, Unsupported. Until the answer's end the target counts as busy with it."""
        way, key = attempt
        self.way, self.key = way, key
        request, losses = self.asked(way, key)
        self.losses = ()
        self.note(losses)
        self.tries += 1
        self.first_byte = None
        hold = self._hold = Hold(
            self.services.health, way.condition, way.key_conditions[key], way.limiters[key]
        )
        answer: Answer | None = None
        try:
            answer = await self._answer(way, request, receive)
        except Refused as refused:
            self._note_failure(hold, attempt, refused)
            raise
        except asyncio.CancelledError:
            self.client_gone()
            raise
        finally:
            if answer is None or answer.stream is None:
                hold.end(self._tokens())
        hold.succeeded()
        if answer.stream is not None:
            answer.stream = HeldStream(answer.stream, lambda: self._ended(hold))
        return answer

    def _ended(self, hold: Hold) -> None:
        """The stream is closed; if its first piece was never asked for, nothing else has let go."""
        if self._upstream is not None:
            self._upstream.close()
        self.client_gone()  # unless it is recorded already
        hold.end(self._tokens())

    async def _answer(self, way: Way, request: UpstreamRequest, receive: Receive) -> Answer:
        upstream: UpstreamAnswer | None = None
        answer: Answer | None = None
        try:
            upstream = self._upstream = await self.services.upstream.send(request)
            if not 200 <= upstream.status < 300:
                raise await self._refusal(way, upstream)
            answer = await receive(self, way, upstream)
        except UpstreamFault as fault:
            raise self.fault(way, fault) from fault
        except InvalidResponse as invalid:
            raise self.garbage(way, str(invalid)) from invalid
        finally:
            if upstream is not None and (answer is None or answer.stream is None):
                upstream.close()
        return answer

    async def again(self, way: Way, request: ChatRequest) -> UpstreamAnswer:
        """Ask the same target to go on. Raises Refused, UpstreamFault, AdapterError."""
        sent, losses = self.asked_again(way, self.key, request)
        self.note(losses)
        upstream = self._upstream = await self.services.upstream.send(sent)
        if 200 <= upstream.status < 300:
            return upstream
        try:
            raise await self._refusal(way, upstream)
        finally:
            upstream.close()

    def _note_failure(self, hold: Hold, attempt: Attempt, refused: Refused) -> None:
        error, rule = refused.error, refused.rule
        if rule.step is Step.TELL:
            if 400 <= error.status < 500:  # whoever judges a request is well
                hold.succeeded()
            return
        seconds, longest = cooldown(rule, error.retry_after)
        cause = "billing" if rule is EMPTY_ACCOUNT else error.kind  # Anthropic calls it an invalid request
        hold.failed(seconds, longest, cause, of_key=rule.step is Step.NEXT_KEY)
        log.warning(
            "request %s: %s did not answer: %s",
            self.call.id,
            attempt.way.label.decode(),
            error.message,
        )

    def _tokens(self) -> int:
        """What the request used, for limits."""
        return (self.usage.input_tokens + self.usage.output_tokens) if self.usage is not None else 0

    def client_gone(self) -> None:
        self.record(CLIENT_GONE, error="the client went away", kind=CLIENT_GONE_KIND)

    # ------------------------------------------------------------ refusals

    def fault(self, way: Way, fault: UpstreamFault) -> Refused:
        if self._hold is not None and self.first_byte is not None:  # in the middle of its answer
            seconds, longest = cooldown(after_fault(fault.fault), None)
            self._hold.failed(seconds, longest, "upstream", of_key=False)
        kind, status = FAULT_ERRORS[fault.fault]
        message = f"provider `{way.target.provider.name}` did not answer: {fault}"
        return Refused(ChatError(kind, message, status), after_fault(fault.fault))

    def garbage(self, way: Way, reason: str) -> Refused:
        message = f"provider `{way.target.provider.name}` gave an answer that cannot be read: {reason}"
        error = ChatError("upstream", self.redactor.text(message), 502)
        return Refused(error, after_fault("garbage"))

    def failed(self, error: ChatError) -> Refused:
        """For a failure that the upstream told as the first thing in its stream."""
        error = self.redacted(error)
        return Refused(error, after_error(error))

    @staticmethod
    def refused(error: ChatError) -> Refused:
        """For what the hub itself says."""
        return Refused(error, TELL)

    def redacted(self, error: ChatError) -> ChatError:
        return replace(error, message=self.redactor.text(error.message))

    async def _refusal(self, way: Way, upstream: UpstreamAnswer) -> Refused:
        try:
            body = await upstream.read_all(LONGEST_ERROR)
        except UpstreamFault:
            body = b""
        status = upstream.status
        name = way.target.provider.name
        if status < 400:
            message = f"provider `{name}` answered {status}: its base_url points elsewhere than to its API"
            return Refused(ChatError("upstream", message, 502), after_status(status))
        error = self.redacted(way.codec.decode_error(status, upstream.headers, body))
        if (seconds := retry_after(upstream.headers, self.services.now())) is not None:
            error = replace(error, retry_after=seconds)
        rule = after_error(error)
        headers = forwarded(upstream.headers, self.redactor)
        if status in (401, 403):
            remedy = "check its api_key in the settings" if way.keys[0] else "set its api_key in the settings"
            told = f"provider `{name}` refused the hub's credential ({status}): {error.message} ({remedy})"
            return Refused(replace(error, message=told), rule, headers)
        if way.codec is self.call.codec and _has_shape(body, way.codec.encode_error(error)[1]):
            return Refused(error, rule, headers, self.redactor.data(body))
        return Refused(error, rule, headers)

    def tell(self, refused: Refused) -> Answer:
        error = refused.error
        headers = [*self.labels(), *refused.headers]
        if refused.raw is not None:
            answer = json_answer(error.status, headers, refused.raw)
        else:
            answer = error_answer(self.call.codec, error, headers)
            body = self.redactor.data(answer.body)  # what the upstream said beside its message
            if body != answer.body:
                answer = json_answer(answer.status, headers, body)
        self.bytes_out = len(answer.body)
        self.record(answer.status, error=error.message, kind=error.kind)
        return answer

    # ------------------------------------------------------------ the answer's head, and the record

    def labels(self) -> Headers:
        labels: Headers = [(b"x-request-id", self.call.id.encode()), (b"x-hub-group", self.plan.label)]
        if self.way is not None:
            labels.append((b"x-hub-target", self.way.label))
        if self.rule:
            labels.append((b"x-hub-rule", header_value(self.rule)))
        return labels

    def head(self, upstream: Mapping[str, str]) -> Headers:
        return [*self.labels(), *losses_header(self.losses), *forwarded(upstream, self.redactor)]

    def began(self, data: bytes = b"", *, stream: bool = False) -> None:
        """The first byte of the answer is there; `data`: its beginning."""
        if self.first_byte is None:
            self.first_byte = self.services.clock() - self.call.started
            if self._hold is not None:
                self._hold.began(stream)
            if data:
                self.response_id = response_id(data[:_LOOKED_AT])

    def record(
        self, status: int, *, stream: bool = False, error: str | None = None, kind: str | None = None
    ) -> None:
        """Tell the sink, once. `kind` is that of the error."""
        sink, way, usage = self.services.sink, self.way, self.usage
        if sink is None or self._recorded:
            return
        self._recorded = True
        duration = self.services.clock() - self.call.started
        price = way.target.price if way is not None else None
        sink(
            Record(
                request_id=self.call.id,
                client_protocol=self.call.codec.name,
                operation=self.call.route.operation,
                status=status,
                group=self.plan.group.name,
                provider=way.target.provider.name if way else "",
                model=way.model(self.model) if way else "",
                target_protocol=way.codec.name if way else "",
                stream=stream,
                passthrough=way is not None and self.passes_through(way),
                usage=usage,
                estimated=usage is not None and usage.estimated,
                cost=cost(usage, price) if usage is not None and price is not None else None,
                time=self.services.now() - duration,
                caller=self.call.caller,
                client=self.call.client,
                bytes_in=len(self.call.body),
                bytes_out=self.bytes_out,
                first_byte=self.first_byte,
                duration=duration,
                attempts=self.tries,
                losses=self.losses,
                error=error,
                error_kind=kind or self.error_kind,
            )
        )


def _has_shape(body: bytes, shape: Mapping[str, Any]) -> bool:
    """Whether an error's body can be read as `shape` is: proxies before an upstream speak their own."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return _is_like(document, shape)


def _is_like(value: Any, shape: Any) -> bool:
    if not isinstance(shape, dict):
        return isinstance(value, type(shape))
    named = (key for key in ("type", "error", "message") if shape.get(key) is not None)
    return isinstance(value, dict) and all(_is_like(value.get(key), shape[key]) for key in named)


Receive = Callable[[Exchange, Way, UpstreamAnswer], Awaitable[Answer]]
"""Makes the client's answer of an upstream's. Raises Refused, UpstreamFault, InvalidResponse."""
