"""Asking one target after another until one begins to answer.

A round goes through the group's targets and keys in their order, then through those of its fallback.
Whoever is cooling down or at its limit is passed over. If nobody answered, the request waits for the
first who can be asked again, within the group's budget, and goes round once more.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adapters.canonical import ChatError
from adapters.conversation import previous_response
from adapters.errors import Unsupported
from routing.affinity import RESPONSE_SECONDS, Conversation, conversation
from routing.answers import Answer
from routing.health import Subject
from routing.plan import Attempt, GroupPlan, Stage, Way
from routing.policy import Step, is_too_long
from routing.refused import Refused

if TYPE_CHECKING:
    from routing.exchange import Exchange, Receive

_PAUSE = 0.5
"""Least seconds between two rounds: some failures (409) bring no cooldown."""


@dataclass(slots=True)
class _Stage:
    """Targets in the order of asking, and the group that stands behind them."""

    plan: GroupPlan
    base: GroupPlan
    """The group whose stage this is: `plan` is another one where a rule says so."""
    attempts: list[Attempt]
    place: bytes
    """Under which the conversation's place is remembered; b"": it is not."""
    only: bool
    """Whether nobody else is to be asked after these."""


class Search:
    """One request's search for somebody who answers."""

    def __init__(self, exchange: Exchange, receive: Receive) -> None:
        self._exchange = exchange
        self._receive = receive
        self._stages: list[_Stage] = []
        self._unsuited: set[int] = set()
        """Targets that cannot be told the request."""
        self._refused: tuple[Refused, GroupPlan, Way] | None = None
        self._final = False
        self._waited = False
        self._conversation: Conversation | None = None

    async def answer(self) -> Answer:
        exchange = self._exchange
        retry = exchange.plan.retry
        left = retry.budget
        while True:
            answer = await self._round(retry.attempts)
            if answer is not None:
                return answer
            wait = self._wait()
            pause = max(wait or 0.0, _PAUSE)
            if self._final or wait is None or pause > left or exchange.tries >= retry.attempts:
                return exchange.tell(self._told(wait))
            left -= pause
            self._waited = True
            try:
                await exchange.services.sleep(pause)
            except asyncio.CancelledError:
                exchange.client_gone()
                raise

    async def _round(self, most: int) -> Answer | None:
        exchange, clock = self._exchange, self._exchange.services.clock
        self._final = False
        for stage in self._each_stage():
            exchange.plan = stage.plan
            passed: set[int] = set()
            for attempt in stage.attempts:
                way, key = attempt
                if id(way) in passed or id(way) in self._unsuited or way.wait(key, clock()) > 0:
                    continue
                if exchange.tries >= most:
                    return None
                answer = await self._ask(stage, attempt, passed)
                if answer is not None or self._final:
                    return answer
        return None

    async def _ask(self, stage: _Stage, attempt: Attempt, passed: set[int]) -> Answer | None:
        exchange, way = self._exchange, attempt.way
        try:
            answer = await exchange.ask(attempt, self._receive)
        except Unsupported as unsupported:
            self._unsuited.add(id(way))
            self._note(exchange.refused(unsupported.error), stage.plan, way)
            return None
        except Refused as refused:
            if refused.rule.step is Step.TELL:
                self._final = not self._falls_back(stage, refused.error)
            self._note(refused, stage.plan, way)
            if refused.rule.step is Step.TELL:
                passed.update(id(each.way) for each in stage.attempts)
            elif refused.rule.step is Step.NEXT_TARGET:
                passed.add(id(way))
            return None
        self._settle(stage, attempt)
        return answer

    def _note(self, refused: Refused, plan: GroupPlan, way: Way) -> None:
        """What the client is told is the last of the first round: later ones only ask who failed again."""
        if self._final or not self._waited:
            self._refused = refused, plan, way

    def _falls_back(self, stage: _Stage, error: ChatError) -> bool:
        """Whether a fault of the client's, a conversation that is too long, may be none elsewhere."""
        base = stage.base
        if stage.only or "context_window" not in base.group.fallback_on or base.fallback is None:
            return False
        if not is_too_long(error):
            return False
        self._unsuited.update(id(each.way) for each in stage.attempts)
        return True

    # ------------------------------------------------------------ the order

    def _each_stage(self) -> Iterator[_Stage]:
        """Each is made ready when it is reached. The group's own come first, then its fallback's."""
        yield from self._stages
        base = self._next(self._stages[-1]) if self._stages else self._exchange.plan
        while base is not None:
            self._exchange.plan = base
            for stage in self._exchange.stages():
                ready = self._ready(base, stage)
                self._stages.append(ready)
                yield ready
            base = self._next(self._stages[-1])

    def _next(self, stage: _Stage) -> GroupPlan | None:
        base = stage.base
        too_long = self._refused is not None and is_too_long(self._refused[0].error)
        reason = "context_window" if too_long else "unavailable"
        return base.fallback if reason in base.group.fallback_on and not stage.only else None

    def _ready(self, base: GroupPlan, stage: Stage) -> _Stage:
        exchange, services = self._exchange, self._exchange.services
        plan = exchange.plan = stage.plan
        ways = tuple(way for way in stage.ways if exchange.reaches(way))
        if not ways:
            return _Stage(plan, base, [], b"", stage.only)
        stream = bool(exchange.wants_stream())
        attempts = plan.attempts(ways, services.random, services.clock(), stream=stream)
        if (home := self._home()) is not None:  # only that provider knows what the request builds on
            own = [each for each in attempts if each.way.target.provider.name == home[0]]
            return _Stage(plan, base, _first(own or attempts, home, whatever_priority=True), b"", stage.only)
        place = self._place(plan, ways)
        if place and self._conversation is not None and self._conversation.began:
            found = services.places.find(place)
            attempts = _first(attempts, found) if found is not None else attempts
        return _Stage(plan, base, attempts, place, stage.only)

    def _home(self) -> Subject | None:
        """Who made the answer that this request continues by its id."""
        previous = previous_response(self._exchange.peeked.document)
        return self._exchange.services.places.find(previous) if previous is not None else None

    def _place(self, plan: GroupPlan, ways: tuple[Way, ...]) -> bytes:
        affinity = plan.affinity
        if affinity is None or (len(ways) == 1 and len(ways[0].keys) == 1):
            return b""
        call, document = self._exchange.call, self._exchange.peeked.document
        if self._conversation is None:
            self._conversation = conversation(call.headers, document, affinity)
        if self._conversation is None:
            return b""
        return b"\0".join((plan.label, ways[0].label, self._conversation.name))

    def _settle(self, stage: _Stage, attempt: Attempt) -> None:
        """The conversation stays where it was answered."""
        exchange, places = self._exchange, self._exchange.services.places
        subject = attempt.way.subject(attempt.key)
        if stage.place and stage.plan.affinity is not None:
            places.put(stage.place, subject, stage.plan.affinity.ttl)
        if exchange.response_id is not None:
            places.put(exchange.response_id, subject, RESPONSE_SECONDS)

    # ------------------------------------------------------------ nobody answered

    def _wait(self) -> float | None:
        """Seconds until somebody can be asked again; None: never."""
        now = self._exchange.services.clock()
        waits = [
            way.wait(key, now)
            for stage in self._stages
            for way, key in stage.attempts
            if id(way) not in self._unsuited
        ]
        return min(waits, default=None)

    def _told(self, wait: float | None) -> Refused:
        exchange = self._exchange
        if self._refused is None:
            if wait is None:
                return exchange.refused(exchange.nobody())
            return exchange.refused(self._resting(wait))
        refused, exchange.plan, exchange.way = self._refused
        error = refused.error
        told = any(name == b"retry-after" for name, _ in refused.headers)
        if wait and error.retry_after is None and not told and (error.status == 429 or error.status >= 500):
            refused.error = replace(error, retry_after=wait)
            refused.headers = [*refused.headers, (b"retry-after", b"%d" % math.ceil(wait))]
        return refused

    def _resting(self, wait: float) -> ChatError:
        """Nobody was asked: all are cooling down or at their limits."""
        now = self._exchange.services.clock()
        group = self._stages[0].plan.group.name
        waiting = {
            way.label.decode(): way.why_waiting(key, now)
            for stage in self._stages
            for way, key in stage.attempts
        }
        limited = all(each.limited for each in waiting.values())
        told = "; ".join(f"{label} {each.text}" for label, each in waiting.items())
        message = f"nobody in group `{group}` can be asked for {math.ceil(wait)} s: {told}"
        return ChatError(
            "rate_limit" if limited else "overloaded", message, 429 if limited else 503, retry_after=wait
        )


def _first(attempts: list[Attempt], place: Subject, *, whatever_priority: bool = False) -> list[Attempt]:
    """`attempts` with the one at `place` first, unless others have a lower priority number."""
    for index, each in enumerate(attempts):
        if each.way.subject(each.key) == place:
            first = attempts[0].way.target.priority
            if whatever_priority or each.way.target.priority == first:
                return [each, *attempts[:index], *attempts[index + 1 :]]
            break
    return attempts
