"""Answers of targets that are offered a function in the place of the provider's own web search.

The target's calls of it are run here, within the client's one request, and the target goes on with what
was found; the client sees one answer, with the searches in its protocol's own shapes. What a search is
looked up with comes from outside: `Services.search`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace

from adapters import server_search, tokens
from adapters.assemble import Assembler, broken_stream
from adapters.canonical import (
    ChatError,
    Failure,
    Finish,
    FinishReason,
    KeepAlive,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    StreamEnd,
    StreamEvent,
    StreamStart,
    Text,
    ToolCall,
    Usage,
    UsageUpdate,
)
from adapters.errors import AdapterError, InvalidResponse
from adapters.peek import exact
from adapters.replay import replay
from adapters.search_results import Found
from adapters.server_search import Searched
from routing import estimate
from routing.answers import STREAM_HEADERS, Answer
from routing.exchange import CLIENT_GONE_KIND, LONGEST_ANSWER, Exchange
from routing.plan import Way
from routing.reading import error_within, is_stream, looks_like_stream, read_document
from routing.receive import encoded, looked_through, note_losses, receive_chat, usage_in
from routing.refused import Refused
from routing.upstream import Silence, UpstreamAnswer, UpstreamFault

log = logging.getLogger("hub.routing")

_ALIVE: tuple[StreamEvent, ...] = (KeepAlive(),)


async def receive_answer(exchange: Exchange, way: Way, upstream: UpstreamAnswer) -> Answer:
    """A chat answer, with the searches in it. Raises as `receive_chat`."""
    if exchange.offered is None:
        return await receive_chat(exchange, way, upstream)
    events = _Searching(exchange, way, upstream).events()
    if exchange.request().stream:
        return await _streamed(exchange, way, upstream, events)
    assembler = Assembler()
    async with aclosing(events):
        async for some in events:
            assembler.feed(some)
            exchange.began()
    response = assembler.response
    if response is None:
        raise exchange.failed(assembler.error or broken_stream())
    exchange.usage = usage_in(exchange, response)
    return encoded(exchange, upstream, response)


async def _streamed(
    exchange: Exchange,
    way: Way,
    upstream: UpstreamAnswer,
    events: AsyncGenerator[Iterable[StreamEvent], None],
) -> Answer:
    """Reads up to the first event that tells something, so that an error can still get a status."""
    begun: list[StreamEvent] = []
    async for some in events:
        begun += some
        if any(not isinstance(event, KeepAlive) for event in begun):
            break
    failed = next((event.error for event in begun if isinstance(event, Failure)), None)
    if failed is not None and all(isinstance(event, Failure | KeepAlive) for event in begun):
        await events.aclose()
        raise exchange.failed(failed)
    exchange.began(stream=True)
    head = [(b"content-type", exchange.call.stream_type.encode()), *STREAM_HEADERS]
    head += exchange.head(upstream.headers)
    return Answer(200, head, stream=_told(exchange, way, begun, events))


async def _told(
    exchange: Exchange,
    way: Way,
    begun: Iterable[StreamEvent],
    events: AsyncGenerator[Iterable[StreamEvent], None],
) -> AsyncGenerator[bytes, None]:
    encoder = exchange.call.codec.stream_encoder(exchange.reply())
    error: str | None = None
    some: Iterable[StreamEvent] | None = begun
    try:
        while some is not None:
            some, error = looked_through(exchange, some)
            if data := encoder.encode(some):
                exchange.bytes_out += len(data)
                yield data if error is None else exchange.redactor.data(data)
            if error is not None:
                return
            some = await _next(exchange, way, events)
    except (GeneratorExit, asyncio.CancelledError):
        error, exchange.error_kind = "the client went away", CLIENT_GONE_KIND
        raise
    finally:
        await events.aclose()
        note_losses(exchange, encoder)
        if exchange.usage is None and exchange.services.sink is not None:
            exchange.usage = estimate.usage(exchange, -(-exchange.text_out // tokens.BYTES_PER_TOKEN))
        exchange.record(200, stream=True, error=error)


async def _next(
    exchange: Exchange, way: Way, events: AsyncIterator[Iterable[StreamEvent]]
) -> Iterable[StreamEvent] | None:
    try:
        return await anext(events)
    except StopAsyncIteration:
        return None
    except Refused as refused:
        return (Failure(refused.error),)
    except UpstreamFault as fault:
        return (Failure(exchange.fault(way, fault).error),)
    except InvalidResponse as invalid:
        return (Failure(exchange.garbage(way, str(invalid)).error),)
    except AdapterError as error:
        return (Failure(error.error),)
    except Exception:
        log.exception("request %s: an answer with searches failed", exchange.call.id)
        return (Failure(ChatError("internal", "the hub failed to read the upstream's answer", 500)),)


# ---------------------------------------------------------------- one answer of several


@dataclass(slots=True)
class _Said:
    """What has been told to the client so far."""

    parts: int = 0
    begun: bool = False
    text: int = 0
    usage: Usage | None = None


class _Round:
    """One of the target's answers: what of it the client sees, and what is to be looked up."""

    def __init__(self, function: str, protocol: str, said: _Said, pages: Iterable[Found]) -> None:
        self._function = function
        self._protocol = protocol
        self._said = said
        self._pages = tuple(pages)
        self._places: dict[int, int] = {}
        self._texts: dict[int, list[str]] = {}
        self.whole = Assembler()
        self.finish: Finish | None = None
        self.end = StreamEnd()
        self.usage: Usage | None = None
        self.other_calls = False

    def take(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        events = list(events)
        self.whole.feed(events)
        return [one for event in events for one in self._seen(event)]

    def _seen(self, event: StreamEvent) -> list[StreamEvent]:
        """The event as it stands in the client's answer."""
        if getattr(event, "choice", 0):
            return []
        match event:
            case StreamStart():
                self.usage = event.usage
                first, self._said.begun = not self._said.begun, True
                return [event] if first else []
            case PartStart(index, ToolCall(name=name)) if name == self._function:
                return []
            case PartStart(index, part):
                self.other_calls |= isinstance(part, ToolCall)
                self._places[index] = self._said.parts
                self._said.parts += 1
                if isinstance(part, Text):
                    self._texts[index] = []
                return [replace(event, index=self._places[index])]
            case PartDelta(index, text):
                if index in self._texts:
                    self._texts[index].append(text)
                return self._placed(event)
            case PartUpdate():
                return self._placed(event)
            case PartEnd():
                return [*self._cited(event.index), *self._placed(event)]
            case Finish():
                self.finish = event
            case UsageUpdate(usage):
                self.usage = usage
            case StreamEnd():
                self.end = event
            case Failure() | KeepAlive():
                return [event]
        return []

    def _placed(self, event: PartDelta | PartUpdate | PartEnd) -> list[StreamEvent]:
        place = self._places.get(event.index)
        return [] if place is None else [replace(event, index=place)]

    def _cited(self, index: int) -> list[StreamEvent]:
        """Which pages a text names that has come to its end."""
        if index not in self._texts:
            return []
        text = "".join(self._texts[index])
        cited = server_search.citations(self._protocol, text, self._pages, self._said.text)
        self._said.text += len(text)
        return [PartUpdate(self._places[index], extensions=cited)] if cited else []

    @property
    def texts(self) -> list[str]:
        return ["".join(pieces) for pieces in self._texts.values()]


class _Searching:
    def __init__(self, exchange: Exchange, way: Way, upstream: UpstreamAnswer) -> None:
        assert exchange.offered is not None
        self._exchange, self._way, self._upstream = exchange, way, upstream
        self._offered = exchange.offered
        self._request = exchange.offered.request
        self._protocol = exchange.call.codec.name
        self._said = _Said()
        self._searched: list[Searched] = []

    async def events(self) -> AsyncGenerator[Iterable[StreamEvent], None]:
        """The client's answer. Raises Refused, UpstreamFault, InvalidResponse."""
        try:
            while True:
                pages = [page for one in self._searched for page in one.found]
                round_ = _Round(self._offered.name, self._protocol, self._said, pages)
                async for events in self._received():
                    if told := round_.take(events):
                        yield told
                response = round_.whole.response
                if response is None:
                    if round_.whole.error is None:
                        yield (Failure(broken_stream()),)
                    return
                self._said.usage = server_search.added(self._said.usage, round_.usage)
                said = response.choices[0].parts
                calls = [one for one in said if isinstance(one, ToolCall) and one.name == self._offered.name]
                done = len(self._searched)
                for call in calls[: max(0, self._offered.uses - done)]:
                    looking = asyncio.create_task(self._looked_up(call))
                    async with _cancelled(looking):
                        async for alive in self._waiting(looking):
                            yield alive
                    yield self._blocks(looking.result())
                new = self._searched[done:]
                if not new or round_.other_calls:
                    yield self._ending(round_)
                    return
                ours = {one.call.id for one in new}
                said = tuple(one for one in said if not isinstance(one, ToolCall) or one.id in ours)
                last = len(self._searched) >= self._offered.uses
                self._request = server_search.going_on(self._request, said, new, last=last)
                self._upstream.close()
                self._upstream = await self._exchange.again(self._way, self._request)
        finally:
            self._upstream.close()

    async def _received(self) -> AsyncGenerator[Iterable[StreamEvent], None]:
        """The events of one upstream's answer, whether it comes whole or in pieces."""
        exchange, way, upstream = self._exchange, self._way, self._upstream
        first = b""
        streams = is_stream(upstream.headers.get("content-type", ""), way.codec)
        if not streams:
            first = await upstream.read()
            streams = looks_like_stream(first)
        if not streams:
            body = first + await upstream.read_all(LONGEST_ANSWER)
            document = read_document(body)
            if (error := error_within(way.codec, document, body)) is not None:
                raise exchange.failed(error)
            yield replay(exchange.response(way, exact(document, body)))
            return
        decoder = exchange.stream_decoder(way)
        if first:
            yield decoder.feed(first)
        while True:
            try:
                data = await upstream.read(exchange.services.keep_alive)
            except Silence:
                yield _ALIVE
                continue
            if not data:
                yield decoder.close()
                return
            yield decoder.feed(data)

    async def _looked_up(self, call: ToolCall) -> Searched:
        query = server_search.query_of(call)
        if not query:
            return Searched(call, query, 'give the search its words: {"query": "…"}', error=True)
        search = self._exchange.services.search
        tool = self._exchange.plan.group.emulate[server_search.NAME]
        assert search is not None
        text, found, error = await search(tool, query)
        return Searched(call, query, text, found, error)

    async def _waiting(self, task: asyncio.Task[Searched]) -> AsyncIterator[Iterable[StreamEvent]]:
        while not (await asyncio.wait((task,), timeout=self._exchange.services.keep_alive))[0]:
            yield _ALIVE

    def _blocks(self, searched: Searched) -> list[StreamEvent]:
        stem, number = self._exchange.call.id, len(self._searched)
        self._searched.append(searched)
        events: list[StreamEvent] = []
        for part in server_search.blocks(self._protocol, searched, stem, number):
            events += [PartStart(self._said.parts, part), PartEnd(self._said.parts)]
            self._said.parts += 1
        return events

    def _ending(self, round_: _Round) -> list[StreamEvent]:
        finish = round_.finish or Finish(FinishReason("other"))
        if finish.reason.unified == "tool_calls" and not round_.other_calls:
            finish = replace(finish, reason=FinishReason("stop"))
        grounded = server_search.grounding(self._protocol, self._searched, round_.texts)
        if grounded:
            finish = replace(finish, extensions={**finish.extensions, **grounded})
        usage = server_search.counted(self._protocol, self._said.usage, len(self._searched))
        counts = [UsageUpdate(usage)] if usage is not None else []
        return [finish, *counts, round_.end]


class _cancelled:  # noqa: N801 - reads as a word at its use
    """Ends a task that nobody waits for any more."""

    def __init__(self, task: asyncio.Task[Searched]) -> None:
        self._task = task

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))
