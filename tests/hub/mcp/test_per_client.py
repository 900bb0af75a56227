"""`session: per-client`: twenty clients on one stdio server, and nothing of one reaches another."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from typing import Any

import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from tests.hub.mcp.harness import (
    ERAS,
    Running,
    alive,
    children,
    json_of,
    raw_request,
    running,
    stdio,
    text_of,
    until,
)

CLIENTS = 20


class Person:
    """A client that answers with its own name whatever it is asked, and notes all that it hears."""

    def __init__(self, number: int) -> None:
        self.name = f"client-{number}"
        self.asked: list[str] = []
        self.logged: list[Any] = []
        self.progress: list[str | None] = []
        self.updated: list[str] = []

    async def elicit(self, context: Any, params: Any) -> types.ElicitResult:
        self.asked.append("elicitation")
        return types.ElicitResult(action="accept", content={"name": self.name})

    async def sample(self, context: Any, params: Any) -> types.CreateMessageResult:
        self.asked.append("sampling")
        content = types.TextContent(type="text", text=self.name)
        return types.CreateMessageResult(role="assistant", content=content, model=self.name)

    async def roots(self, context: Any) -> types.ListRootsResult:
        self.asked.append("roots")
        return types.ListRootsResult(roots=[types.Root(uri=f"file:///{self.name}")])  # type: ignore[arg-type]

    async def log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.logged.append(params.data)

    async def hear(self, message: Any) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            self.updated.append(str(message.params.uri))

    async def step(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append(message)

    def client(self, hub: Running, era: str) -> Client:
        return hub.client(
            era,
            "one",
            elicitation_callback=self.elicit,
            sampling_callback=self.sample,
            list_roots_callback=self.roots,
            logging_callback=self.log,
            message_handler=self.hear,
        )


async def elicitation(person: Person, client: Client) -> None:
    assert json_of(await client.call_tool("ask", {}))["content"] == {"name": person.name}
    assert "elicitation" in person.asked


async def sampling(person: Person, client: Client) -> None:
    assert json_of(await client.call_tool("sample", {}))["model"] == person.name
    assert "sampling" in person.asked


async def roots(person: Person, client: Client) -> None:
    found = json_of(await client.call_tool("roots", {}))["roots"]
    assert [root["uri"] for root in found] == [f"file:///{person.name}"]
    assert "roots" in person.asked


async def progress(person: Person, client: Client) -> None:
    await client.call_tool("progress", {"steps": 3}, progress_callback=person.step)
    assert person.progress == ["step 1", "step 2", "step 3"]


async def logs(person: Person, client: Client) -> None:
    await client.call_tool("log", {"who": person.name})
    assert all(person.name in str(data) for data in person.logged)


DEEDS = (elicitation, sampling, roots, progress, logs)


async def everything_of(person: Person, client: Client, era: str) -> None:
    """All that a server can ask and tell, at the same time; in the stateless era, where each request has a
    process of its own, one of these."""
    number = int(person.name.rpartition("-")[2])
    deeds = DEEDS if era == "legacy" else (DEEDS[number % len(DEEDS)],)
    await asyncio.gather(*(deed(person, client) for deed in deeds))


@pytest.mark.parametrize("era", ERAS)
async def test_twenty_clients_at_once_never_meet(era: str) -> None:
    people = [Person(number) for number in range(CLIENTS)]
    async with running({"one": stdio(session="per-client")}) as hub:
        own = children(os.getpid())
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(person.client(hub, era)) for person in people]
            async with asyncio.timeout(120):
                await asyncio.gather(
                    *(everything_of(each, client, era) for each, client in zip(people, clients, strict=True))
                )
            for person in people:
                assert len(person.asked) == len(set(person.asked)), "asked for somebody else"
            if era == "legacy":
                (row,) = hub.hub.status()
                assert row.sessions == CLIENTS
        # All that was started for clients is gone with them; what lists the tools is left.
        await until(lambda: hub.hub.status()[0].sessions == 0)
        await until(lambda: children(os.getpid()) <= own)
        assert hub.hub.status()[0].pid in children(os.getpid())
    await until(lambda: not any(map(alive, own & children(os.getpid()))))


async def test_state_and_subscriptions_are_each_clients_own() -> None:
    one, two = Person(1), Person(2)
    async with (
        running({"one": stdio(session="per-client")}) as hub,
        one.client(hub, "legacy") as first,
        two.client(hub, "legacy") as second,
    ):
        pids = [text_of(await client.call_tool("pid", {})) for client in (first, second, first)]
        assert pids[0] == pids[2] != pids[1]
        await raw_request(first, "resources/subscribe", uri="test://static")
        await until_subscribed(first, ["test://static"])
        assert json_of(await second.call_tool("subscriptions", {})) == []
        await raw_request(second, "resources/subscribe", uri="test://static")
        await until_subscribed(second, ["test://static"])
        await first.call_tool("touch", {"uri": "test://static"})
        await until(lambda: one.updated)
        await second.call_tool("touch", {"uri": "test://static"})
        await until(lambda: two.updated)
        assert (one.updated, two.updated) == (["test://static"], ["test://static"])
        await raw_request(first, "resources/unsubscribe", uri="test://static")
        await until_subscribed(first, [])
        assert json_of(await second.call_tool("subscriptions", {})) == ["test://static"]


async def until_subscribed(client: Client, uris: list[str]) -> None:
    async with asyncio.timeout(10):
        while json_of(await client.call_tool("subscriptions", {})) != uris:
            pass


async def test_a_stateless_client_shares_nothing_with_its_own_other_requests() -> None:
    async with running({"one": stdio(session="per-client")}) as hub, hub.client("modern", "one") as client:
        pids = {text_of(await client.call_tool("pid", {})) for _ in range(3)}
        assert len(pids) == 3
        await until(lambda: hub.hub.status()[0].sessions == 0)
        assert not any(alive(int(pid)) for pid in pids)


async def test_a_killed_child_concerns_one_client() -> None:
    async with (
        running({"one": stdio(session="per-client")}) as hub,
        hub.client("legacy", "one") as first,
        hub.client("legacy", "one") as second,
    ):
        mine, other = [int(text_of(await client.call_tool("pid", {}))) for client in (first, second)]
        slow = asyncio.create_task(second.call_tool("slow", {"seconds": 1}))
        lost = asyncio.create_task(first.call_tool("slow", {"seconds": 30}))
        async with asyncio.timeout(10):
            while text_of(await first.call_tool("cancelled", {})) != "0 of 1":
                pass
        os.kill(mine, signal.SIGKILL)
        with pytest.raises(MCPError, match="ended while it worked"):
            await lost
        assert text_of(await slow) == "slept"
        assert int(text_of(await second.call_tool("pid", {}))) == other
        again = int(text_of(await first.call_tool("pid", {})))
        assert again not in (mine, other)
        assert hub.hub.status()[0].state == "ready"


async def test_the_oldest_idle_session_makes_room_and_one_in_use_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = stdio(session="per-client", max_sessions=1)
    async with (
        running({"one": settings}) as hub,
        hub.client("legacy", "one") as first,
        hub.client("legacy", "one") as second,
    ):
        one = text_of(await first.call_tool("pid", {}))
        two = text_of(await second.call_tool("pid", {}))
        assert one != two
        assert not alive(int(one))
        busy = asyncio.create_task(second.call_tool("slow", {"seconds": 30}))
        await until(lambda: hub.hub.status()[0].sessions == 1)
        async with asyncio.timeout(10):
            while text_of(await second.call_tool("cancelled", {})) != "0 of 1":
                pass
        monkeypatch.setattr("hub.downstream.per_client._PATIENCE_SECONDS", 0.2)
        with pytest.raises(MCPError, match="max_sessions"):
            await first.call_tool("pid", {})
        busy.cancel()


async def test_an_idle_session_ends() -> None:
    async with (
        running({"one": stdio(session="per-client", session_idle=0.2)}) as hub,
        hub.client("legacy", "one") as client,
    ):
        pid = int(text_of(await client.call_tool("pid", {})))
        await until(lambda: not alive(pid))
        assert int(text_of(await client.call_tool("pid", {}))) != pid


async def test_the_session_declares_what_its_client_can_do() -> None:
    person = Person(1)
    async with (
        running({"one": stdio(session="per-client")}) as hub,
        hub.client("legacy", "one") as plain,
        person.client(hub, "legacy") as able,
    ):
        assert json_of(await plain.call_tool("capabilities", {})) == {}
        assert set(json_of(await able.call_tool("capabilities", {}))) == {"elicitation", "roots", "sampling"}


async def test_removing_the_server_ends_every_session() -> None:
    async with (
        running({"one": stdio(session="per-client"), "two": stdio()}) as hub,
        hub.client("legacy") as client,
    ):
        pid = int(text_of(await client.call_tool("one_pid", {})))
        await hub.hub.apply({"two": stdio()}, {})
        await until(lambda: not alive(pid))


async def test_an_answer_reaches_the_process_that_asked() -> None:
    """A server of 2026-07-28 may know its own state alone, such as a key that it signs it with."""
    settings = stdio("--era", "modern", session="per-client")
    person = Person(0)
    async with running({"one": settings}) as hub, person.client(hub, "modern") as client:
        first = await raw_request(client, "tools/call", name="ask", arguments={})
        assert first["resultType"] == "input_required"
        assert first["requestState"] != "state-1"
        assert hub.hub.status()[0].sessions == 1, "it waits"
        done = await raw_request(
            client,
            "tools/call",
            name="ask",
            arguments={},
            requestState=first["requestState"],
            inputResponses={"q": {"action": "accept", "content": {"name": "me"}}},
        )
        assert '"name": "me"' in done["content"][0]["text"]
        await until(lambda: hub.hub.status()[0].sessions == 0)
        await elicitation(person, client)
