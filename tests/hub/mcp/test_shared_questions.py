"""Questions on a session that many clients share: asked of whom they belong to for certain, or of nobody."""

from __future__ import annotations

import pytest
from mcp.shared.exceptions import MCPError

from tests.hub.mcp.harness import raw_request, running, stdio
from tests.hub.mcp.test_per_client import Person

ANSWER = {"action": "accept", "content": {"name": "late"}}


async def test_an_abandoned_question_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    person = Person(1)
    async with (
        running({"one": stdio()}) as hub,
        Person(2).client(hub, "modern") as gone,
        person.client(hub, "legacy") as other,
    ):
        first = await raw_request(gone, "tools/call", name="ask", arguments={})
        assert first["resultType"] == "input_required"
        # The one that was asked may be about to answer, so the question of another call is refused by name.
        with pytest.raises(MCPError, match="2 clients share this session right now"):
            await other.call_tool("ask", {})
        monkeypatch.setattr("hub.downstream.session.ABANDONED_SECONDS", 0.0)
        with pytest.raises(MCPError, match="is given up now, so try again"):
            await other.call_tool("ask", {})
        assert person.asked == [], "that question may have been the first one's"
        await other.call_tool("ask", {})
        assert person.asked == ["elicitation"]
        # Who comes back after all is told to begin again.
        (key,) = first["inputRequests"]
        with pytest.raises(MCPError, match="start the request again"):
            await raw_request(
                gone,
                "tools/call",
                name="ask",
                arguments={},
                requestState=first["requestState"],
                inputResponses={key: ANSWER},
            )


async def test_who_comes_back_in_time_is_answered() -> None:
    async with running({"one": stdio()}) as hub, Person(2).client(hub, "modern") as client:
        first = await raw_request(client, "tools/call", name="ask", arguments={})
        (key,) = first["inputRequests"]
        done = await raw_request(
            client,
            "tools/call",
            name="ask",
            arguments={},
            requestState=first["requestState"],
            inputResponses={key: ANSWER},
        )
        assert '"name": "late"' in done["content"][0]["text"]
