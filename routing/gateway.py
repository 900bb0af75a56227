"""The gateway: every operation of the chat endpoints, from a client's call to its answer."""

from __future__ import annotations

import asyncio
import random as chance
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager

from adapters import tokens
from adapters.canonical import ChatError
from adapters.codec import Codec, ModelInfo
from adapters.compat import compat_request
from adapters.errors import AdapterError
from adapters.jsontext import dump_bytes
from adapters.peek import peek
from adapters.registry import codecs as registered
from routing.affinity import Places
from routing.answers import Answer, Headers, error_answer, json_answer
from routing.call import Call
from routing.exchange import Exchange, Services
from routing.health import Health
from routing.plan import Prepared, prepare
from routing.receive import receive_plain
from routing.receive_embeddings import receive_embeddings
from routing.resolve import SWITCH, RoutingError, aliases, find_group, known
from routing.search_tools import RunSearch
from routing.searching import receive_answer
from routing.table import Group, Table
from routing.upstream import Upstream
from routing.usage import Record, Sink

OLLAMA_VERSION = "0.13.0"
"""What `/api/version` says: clients compare it with the first version that has what they need."""

_TABLES = 64
"""Tables that are kept ready."""
_RECORDED = frozenset(("chat", "compact", "embeddings"))
_FINAL_COUNTS = frozenset((200, 400, 413, 422))
"""Statuses of a count that are the client's; after any other the hub estimates."""


def new_id() -> str:
    """24 characters of `[a-z0-9]`."""
    return uuid.uuid4().hex[:24]


class Gateway:
    """Answers calls by the table that each of them leases.

    `lease` gives the current table for the time of one request. `visible` gives that table without the
    groups that the request's caller may not name; to whom a group passes requests on is the settings' affair.
    `active_group` is what `switch` set, None: nothing. `sink` takes one record for each request; it must
    not block.
    """

    def __init__(
        self,
        *,
        lease: Callable[[], AbstractContextManager[Table]],
        visible: Callable[[Table], Table] = lambda table: table,
        upstream: Upstream,
        codecs: Sequence[Codec] | None = None,
        active_group: Callable[[], str | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        random: Callable[[], float] = chance.random,
        new_id: Callable[[], str] = new_id,
        sink: Sink | None = None,
        keep_alive: float = 15.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        search: RunSearch | None = None,
    ) -> None:
        self.lease = lease
        self._visible = visible
        self.codecs = tuple(registered() if codecs is None else codecs)
        self._by_name = {codec.name: codec for codec in self.codecs}
        self._active_group = active_group
        self._prepared: OrderedDict[int, Prepared] = OrderedDict()
        self._since = int(now())
        self.services = Services(
            upstream=upstream,
            health=Health(clock),
            clock=clock,
            now=now,
            random=random,
            new_id=new_id,
            keep_alive=keep_alive,
            sink=sink,
            places=Places(clock),
            sleep=sleep,
            search=search,
        )

    def prepared(self, table: Table) -> Prepared:
        """What is computed once for a table. Raises LookupError for an unknown protocol.

        The latest few are kept: each key that is limited to some groups has a table of its own.
        """
        prepared = self._prepared.get(id(table))
        if prepared is None or prepared.table is not table:
            prepared = prepare(table, self._by_name, self.services.health)
            self._prepared[id(table)] = prepared
            if len(self._prepared) > _TABLES:
                self._prepared.popitem(last=False)
        return prepared

    async def close(self) -> None:
        await self.services.upstream.close()

    async def answer(self, table: Table, call: Call) -> Answer:
        """Never raises but for defects; errors come in the shape of the call's protocol."""
        try:
            prepared = self.prepared(table)
            match call.route.operation:
                case "chat" | "compact":
                    return await self._exchange(prepared, call).run(receive_answer)
                case "count_tokens":
                    return await self._count(self._exchange(prepared, call))
                case "models":
                    return self._models(prepared, call)
                case "model":
                    return self._model(prepared, call)
                case "info":
                    return self._version(call)
                case "embeddings":
                    return await self._exchange(prepared, call).run(receive_embeddings)
        except (RoutingError, AdapterError) as error:
            return self._refuse(call, error.error)
        except RecursionError:
            return self._refuse(call, ChatError("invalid_request", "the body is nested too deeply", 400))

    def _refuse(self, call: Call, error: ChatError) -> Answer:
        """What no target was asked for is recorded, too."""
        answer, services = self.error(call, error), self.services
        if services.sink is not None and call.route.operation in _RECORDED:
            duration = services.clock() - call.started
            services.sink(
                Record(
                    request_id=call.id,
                    client_protocol=call.codec.name,
                    operation=call.route.operation,
                    status=answer.status,
                    time=services.now() - duration,
                    caller=call.caller,
                    client=call.client,
                    bytes_in=len(call.body),
                    bytes_out=len(answer.body),
                    duration=duration,
                    error=error.message,
                    error_kind=error.kind,
                )
            )
        return answer

    def error(self, call: Call, error: ChatError) -> Answer:
        return error_answer(call.codec, error, self._labels(call))

    # ------------------------------------------------------------ chat and its relatives

    def _exchange(self, prepared: Prepared, call: Call) -> Exchange:
        """Raises InvalidRequest, RoutingError."""
        peeked = peek(call.body)
        model = call.arrival.model or peeked.model or ""
        group = self._find(prepared.table, call.prefix, model)
        return Exchange(self.services, prepared, prepared.groups[group.name], call, peeked, model)

    async def _count(self, exchange: Exchange) -> Answer:
        """Ask an upstream that speaks the client's protocol; if none can count, estimate and say so."""
        compat = exchange.call.compat
        if not compat:  # what goes upstream is another text
            answer = await exchange.run(receive_plain)
            if answer.status in _FINAL_COUNTS:
                return answer
        codec, request = exchange.call.codec, exchange.request()
        counted = compat_request(request)[0] if compat else request
        document = codec.encode_token_count(tokens.of_request(counted))
        headers: Headers = [*exchange.labels(), (b"x-hub-estimated", b"true")]
        return json_answer(200, headers, dump_bytes(document))

    # ------------------------------------------------------------ lists of models

    def _models(self, prepared: Prepared, call: Call) -> Answer:
        document = call.codec.encode_models(self._listed(prepared, call), call.route.action)
        return json_answer(200, self._labels(call), dump_bytes(document))

    def _model(self, prepared: Prepared, call: Call) -> Answer:
        wanted = call.arrival.model or (peek(call.body).model if call.body else None) or ""
        infos = {info.id: info for info in self._listed(prepared, call)}
        info = infos.get(wanted) or infos.get(wanted.removesuffix(":latest"))
        if info is None:
            raise RoutingError("not_found", f"there is no model `{wanted}`. {known(wanted, infos)}")
        document = call.codec.encode_model(info, call.route.action)
        return json_answer(200, self._labels(call), dump_bytes(document))

    def _version(self, call: Call) -> Answer:
        return json_answer(200, self._labels(call), dump_bytes({"version": OLLAMA_VERSION}))

    def _listed(self, prepared: Prepared, call: Call) -> list[ModelInfo]:
        """The groups and the names in their `models` maps; below a prefix only that group's."""
        if call.prefix:
            groups = [self._find(prepared.table, call.prefix, None)]
        else:
            groups = list(self._visible(prepared.table).groups.values())
        infos: dict[str, ModelInfo] = {}
        for group in groups:
            for name in (group.name, *aliases(group)):
                infos.setdefault(name, ModelInfo(name, self._since, "hub", group.description or name))
        return list(infos.values())

    def _find(self, table: Table, prefix: str, model: str | None) -> Group:
        """The group that is meant. Raises RoutingError, also for one that the caller may not name."""
        visible, active = self._visible(table), self._active_group()
        if visible is not table:
            named = (active if prefix == SWITCH else prefix) or model or ""
            if named in table.groups and named not in visible.groups:
                what = "the active group" if prefix == SWITCH else f"the group `{named}`"
                raise RoutingError("permission", f"this key may not use {what}")
        return find_group(visible, prefix, model, active)

    def _labels(self, call: Call) -> Headers:
        return [(b"x-request-id", call.id.encode())]
