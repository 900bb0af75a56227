"""Logging in at a real authorization server, and what becomes of the token in a running hub."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from hub.downstream.errors import DownstreamError
from hub.mcp_hub import McpHub
from hub.oauth.flow import LoginFailed, log_in, take_back
from hub.oauth.following import follow_logins
from hub.oauth.receiver import Receiver, WrongState
from hub.oauth.record import LoginRecord, read_record, secret_name
from hub.secret_store import SecretStore
from hub.settings.mcp import McpServerSettings
from tests.hub.oauth.authorization_server import CLIENT_DOCUMENT, DocumentClient, Protected, protected_server

pytestmark = pytest.mark.timeout(60)
SECONDS = 10.0


async def browse(url: str, receiver: Receiver) -> None:
    """What the browser does with the URL: it goes where it is sent."""
    async with httpx2.AsyncClient(follow_redirects=True) as http:
        page = await http.get(url)
        assert page.status_code == 200, page.text


def settings_of(protected: Protected, **more: Any) -> McpServerSettings:
    return McpServerSettings.model_validate({"url": protected.mcp, **more})


def kept(protected: Protected) -> LoginRecord | None:
    return read_record(SecretStore().read(secret_name("docs", protected.mcp)), protected.mcp)


def keep(record: LoginRecord) -> None:
    SecretStore().write(secret_name("docs", record.url), record.model_dump_json(exclude_none=True))


async def login(protected: Protected, **more: Any) -> LoginRecord:
    record = await log_in(settings_of(protected, **more), kept(protected), browse)
    keep(record)
    return record


@asynccontextmanager
async def hub_of(protected: Protected, **more: Any) -> AsyncIterator[McpHub]:
    async with McpHub(version="0", guard=False) as hub:
        following = asyncio.create_task(follow_logins(hub.try_logins))
        try:
            await hub.apply({"docs": settings_of(protected, **more)}, {})
            await hub.wait_settled(SECONDS)
            yield hub
        finally:
            following.cancel()


async def call(hub: McpHub, tool: str = "hello") -> str:
    result = await asyncio.wait_for(hub.call_tool(f"docs_{tool}", {}), SECONDS)
    return result.content[0].text  # type: ignore[union-attr]


async def refusal(hub: McpHub, tool: str = "hello") -> str:
    with pytest.raises((MCPError, DownstreamError)) as error:
        await call(hub, tool)
    return str(error.value)


async def until_state(hub: McpHub, state: str) -> None:
    async with asyncio.timeout(SECONDS):
        while hub.status()[0].state != state:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.01)


def expire(record: LoginRecord) -> None:
    """As if its time had passed: the next request has to refresh it first."""
    keep(record.model_copy(update={"expires_at": time.time() - 1}))


async def test_without_a_login_the_hub_says_so_and_hangs_nobody() -> None:
    async with protected_server() as protected, hub_of(protected) as hub:
        (status,) = hub.status()
        assert (status.state, status.reason) == ("needs login", "run `hub login docs`")
        assert "'docs' needs a login: run `hub login docs`" in await refusal(hub)


async def test_a_running_hub_uses_a_new_login_at_once() -> None:
    async with protected_server() as protected, hub_of(protected) as hub:
        record = await login(protected)
        await until_state(hub, "ready")
        assert await call(hub) == "hello"
        assert protected.does.registered == 1
        (asked,) = protected.does.asked
        assert asked.resource == protected.mcp
        assert asked.scopes == ["read"]
        assert asked.code_challenge
        assert record.issuer == f"{protected.url}/"


async def test_a_token_that_is_about_to_expire_is_refreshed_first() -> None:
    async with protected_server() as protected:
        record = await login(protected)
        async with hub_of(protected) as hub:
            assert await call(hub) == "hello"
            expire(record)
            assert await call(hub) == "hello"
            assert protected.does.refreshes == 1
            renewed = kept(protected)
            assert renewed is not None
            assert renewed.token is not None
            assert record.token is not None
            assert renewed.token.access_token != record.token.access_token
            assert renewed.expires_at is not None
            assert renewed.expires_at > time.time() + 1000


async def test_a_token_that_the_server_refuses_is_refreshed_and_the_call_goes_on() -> None:
    async with protected_server() as protected:
        await login(protected)
        async with hub_of(protected) as hub:
            restarts = hub.status()[0].restarts
            protected.server.forget_access_tokens()
            assert await call(hub) == "hello"
            assert protected.does.refreshes == 1
            assert hub.status()[0].restarts == restarts  # in the same session


@pytest.mark.parametrize("session", ["shared", "per-client"])
async def test_many_calls_at_once_refresh_once(session: str) -> None:
    async with protected_server() as protected:
        record = await login(protected)
        async with hub_of(protected, session=session) as hub:
            expire(record)
            assert set(await asyncio.gather(*(call(hub) for _ in range(20)))) == {"hello"}
            assert protected.does.refreshes == 1


async def test_over_the_older_transport() -> None:
    async with protected_server(sse=True) as protected:
        settings = McpServerSettings.model_validate({"type": "sse", "url": protected.sse})
        async with McpHub(version="0", guard=False) as hub:
            await hub.apply({"docs": settings}, {})
            await hub.wait_settled(SECONDS)
            assert hub.status()[0].state == "needs login"
            record = await log_in(settings, None, browse)
            keep(record)
            hub.try_logins()
            await until_state(hub, "ready")
            protected.server.forget_access_tokens()
            assert await call(hub) == "hello"
            assert protected.does.refreshes == 1
            protected.server.forget_everything()
            assert "hub login docs" in await refusal(hub)


async def test_a_cancelled_call_does_not_lose_the_new_token() -> None:
    async with protected_server() as protected:
        record = await login(protected)
        async with hub_of(protected) as hub:
            expire(record)
            first = asyncio.create_task(call(hub))
            async with asyncio.timeout(SECONDS):
                while not protected.does.refreshes:  # noqa: ASYNC110 - no event tells it
                    await asyncio.sleep(0)
            first.cancel()
            assert await call(hub) == "hello"
            assert protected.does.refreshes == 1


async def test_a_refused_refresh_asks_for_a_login_and_a_new_one_helps() -> None:
    async with protected_server(refuse_refresh=True) as protected:
        record = await login(protected)
        async with hub_of(protected) as hub:
            expire(record)
            assert "hub login docs" in await refusal(hub)
            await until_state(hub, "needs login")
            assert protected.does.refreshes == 1
            left = kept(protected)
            assert left is not None
            assert left.token is None
            assert left.client.client_id == record.client.client_id
            await login(protected)
            await until_state(hub, "ready")
            assert await call(hub) == "hello"


async def test_a_permission_taken_back_asks_for_a_login() -> None:
    async with protected_server() as protected:
        await login(protected)
        async with hub_of(protected) as hub:
            protected.server.forget_everything()
            assert "hub login docs" in await refusal(hub)
            await until_state(hub, "needs login")


async def test_an_authorization_server_out_of_order_is_said_and_costs_no_login() -> None:
    async with protected_server() as protected:
        record = await login(protected)
        async with hub_of(protected) as hub:
            protected.does.out_of_order = True
            expire(record)
            told = await refusal(hub)
            assert "HTTP 503" in told
            assert "hub login" not in told
            protected.does.out_of_order = False
            assert await call(hub) == "hello"


async def test_while_the_old_token_is_good_a_failed_refresh_hurts_nobody() -> None:
    async with protected_server() as protected:
        record = await login(protected)
        async with hub_of(protected) as hub:
            protected.does.out_of_order = True
            keep(record.model_copy(update={"expires_at": time.time() + 30}))
            assert await call(hub) == "hello"


async def test_more_rights_are_asked_for_at_the_next_login() -> None:
    async with protected_server() as protected:
        await login(protected)
        async with hub_of(protected) as hub:
            told = await refusal(hub, "write")
            assert "the scope write" in told
            assert "hub login docs" in told
            assert await call(hub) == "hello"  # what it may do, it still may
            await login(protected)
            assert protected.does.asked[-1].scopes == ["read", "write"]
            assert await call(hub, "write") == "written"


async def test_logging_out_ends_it() -> None:
    async with protected_server() as protected:
        record = await login(protected)
        async with hub_of(protected) as hub:
            SecretStore().delete(secret_name("docs", protected.mcp))
            assert await take_back(record)
            await until_state(hub, "needs login")
            assert "hub login docs" in await refusal(hub)
            assert not protected.server.refresh_tokens


async def test_a_token_goes_to_no_other_address() -> None:
    async with protected_server() as protected, protected_server() as other:
        record = await login(protected)
        keep(record.model_copy(update={"url": other.mcp}))
        SecretStore().write(secret_name("docs", other.mcp), record.model_dump_json(exclude_none=True))
        async with hub_of(other) as hub:
            assert hub.status()[0].state == "needs login"


async def test_a_client_metadata_document_needs_no_registration() -> None:
    async with protected_server(client_documents=True, registration=False) as protected:
        record = await login(protected, auth={"client_metadata_url": CLIENT_DOCUMENT})
        assert record.client.client_id == CLIENT_DOCUMENT
        assert protected.does.registered == 0
        async with hub_of(protected) as hub:
            expire(record)
            assert await call(hub) == "hello"


async def test_without_support_for_documents_the_hub_registers() -> None:
    async with protected_server() as protected:
        record = await login(protected, auth={"client_metadata_url": CLIENT_DOCUMENT})
        assert record.client.client_id != CLIENT_DOCUMENT
        assert protected.does.registered == 1


async def test_a_client_of_the_settings() -> None:
    async with protected_server() as protected:
        secret = "a-secret-of-the-client"
        protected.server.clients["mine"] = DocumentClient(
            client_id="mine",
            client_secret=secret,
            scope="read write",
            token_endpoint_auth_method="client_secret_post",
        )
        details = {"client_id": "mine", "client_secret": secret, "scopes": "read write"}
        record = await login(protected, auth=details)
        assert protected.does.registered == 0
        assert protected.does.asked[-1].scopes == ["read", "write"]
        async with hub_of(protected, auth=details) as hub:
            expire(record)
            assert await call(hub) == "hello"


async def test_an_answer_to_another_login_changes_nothing() -> None:
    async def forged_first(url: str, receiver: Receiver) -> None:
        async with httpx2.AsyncClient() as http:
            forged = await http.get(f"{receiver.url}?code=stolen&state=guessed")
            assert forged.status_code == 400
            elsewhere = await http.get(receiver.url.replace("/callback", "/favicon.ico"))
            assert elsewhere.status_code == 404
        with pytest.raises(WrongState):
            receiver.take("http://127.0.0.1/callback?code=stolen&state=guessed")
        await browse(url, receiver)

    async with protected_server() as protected:
        record = await log_in(settings_of(protected), None, forged_first)
        assert record.token is not None
        assert record.token.access_token in protected.server.access_tokens


async def test_an_answer_that_is_pasted() -> None:
    async def paste(url: str, receiver: Receiver) -> None:
        async with httpx2.AsyncClient() as http:
            answer = await http.get(url)
        receiver.take(f"  {answer.headers['location']}\n")

    async with protected_server() as protected:
        record = await log_in(settings_of(protected), None, paste)
        assert record.token is not None


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        ({"deny": True}, "access_denied: not today"),
        ({"issuer_in_answer": "http://127.0.0.1:1/"}, "iss mismatch"),
        ({"registration": False}, "Registration failed: 404"),
    ],
    ids=("denied", "mixed up", "no way to register"),
)
async def test_a_login_that_fails_says_why(behaviour: dict[str, Any], told: str) -> None:
    async with protected_server(**behaviour) as protected:
        with pytest.raises(LoginFailed) as error:
            await login(protected)
        assert told in str(error.value)
        assert kept(protected) is None


async def test_nobody_says_yes() -> None:
    async def nobody(url: str, receiver: Receiver) -> None:
        pass

    async with protected_server() as protected:
        with pytest.raises(LoginFailed, match="nobody said yes"):
            await log_in(settings_of(protected), None, nobody, patience=0.05)


async def test_plain_http_beyond_this_machine_is_refused() -> None:
    settings = McpServerSettings.model_validate({"url": "http://mcp.example.com/mcp"})
    with pytest.raises(LoginFailed, match="has to be https"):
        await log_in(settings, None, browse)


async def test_no_token_shows_up_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    async with protected_server() as protected:
        record = await login(protected)
        said += [repr(record), str(record)]
        async with hub_of(protected) as hub:
            said.append(await refusal(hub, "write"))
            expire(record)
            await call(hub)
            said.append(repr(hub.status()))
            protected.server.forget_everything()
            said.append(await refusal(hub))
            said.append(repr(hub.status()))
        keep(await login(protected))
        said.append(SecretStore().path.read_text())
        assert len(protected.does.tokens_seen) >= 4
        for text in (*said, *caplog.text.splitlines()):
            assert not [token for token in protected.does.tokens_seen if token in text], text
