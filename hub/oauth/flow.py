"""`hub login`: a person says yes in the browser, and the hub gets a token.

The steps are the SDK's `OAuthClientProvider`: discovery, registration, PKCE, `iss`, the token request. It is
driven here by hand, since a login is a command of its own and no part of some request that waits.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.auth.utils import (
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
    issuers_match,
    union_scopes,
    validate_authorization_response_iss,
)
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl, ValidationError

from hub.oauth.login import expiry
from hub.oauth.receiver import Answer, Receiver
from hub.oauth.record import LoginRecord
from hub.settings.mcp import McpServerSettings
from hub.settings.oauth import LoginSettings

_SECONDS = 30.0
_PERSON_SECONDS = 600.0
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_VERSION = "2025-11-25"
"""Servers of each era look for the token before they look at anything else."""

Show = Callable[[str, Receiver], Awaitable[None]]
"""Brings an authorization URL before a person. The answer comes to the receiver."""


class LoginFailed(Exception):
    """Says why, and what to do; never holds a token or a code."""


async def log_in(
    settings: McpServerSettings, before: LoginRecord | None, show: Show, *, patience: float = _PERSON_SECONDS
) -> LoginRecord:
    """Log in at a server. `before` is what is kept of the last login. Raises LoginFailed.

    `patience`: seconds that the person has.
    """
    url = settings.url or ""
    _refuse_unsafe(url)
    login = settings.auth or LoginSettings()
    try:
        async with Receiver(login.redirect_port) as receiver, httpx2.AsyncClient(timeout=_SECONDS) as http:
            attempt = _Attempt(settings, login, before, show, patience, receiver, http)
            return await attempt.run()
    except OSError as error:
        if login.redirect_port is None:
            raise LoginFailed(f"no port to listen on: {error.strerror}") from None
        raise LoginFailed(f"port {login.redirect_port} cannot be used: {error.strerror}") from None


class _Attempt:
    def __init__(
        self,
        settings: McpServerSettings,
        login: LoginSettings,
        before: LoginRecord | None,
        show: Show,
        patience: float,
        receiver: Receiver,
        http: httpx2.AsyncClient,
    ) -> None:
        self._url = settings.url or ""
        self._settings = settings
        self._login = login
        self._before = before
        self._show = show
        self._patience = patience
        self._receiver = receiver
        self._http = http
        self._kept = _Kept(_client_of(login, receiver.url))
        self._last: httpx2.Response | None = None
        self._provider = OAuthClientProvider(
            self._url,
            OAuthClientMetadata(
                client_name="hub",
                redirect_uris=[AnyUrl(receiver.url)],
                token_endpoint_auth_method="none",  # noqa: S106 - a public client has no secret
            ),
            self._kept,
            self._to_browser,
            self._from_browser,
            login.client_metadata_url,
        )

    async def run(self) -> LoginRecord:
        request = self._request()
        first = await self._send(request)
        try:
            async with aclosing(self._provider.async_auth_flow(request)) as flow:
                outgoing = await anext(flow)
                response = self._challenge(first, outgoing)
                while (outgoing := await flow.asend(response)) is not request:
                    _refuse_unsafe(str(outgoing.url))
                    response = self._last = await self._send(outgoing)
        except OAuthFlowError as error:
            raise LoginFailed(self._words(error)) from None
        except ValidationError:
            raise LoginFailed("what the authorization server says of itself cannot be understood") from None
        last = await self._send(request)
        if last.status_code == 401:
            raise LoginFailed("the login succeeded, but the server does not accept its token")
        return self._record()

    def _request(self) -> httpx2.Request:
        headers = {name: value.get_secret_value() for name, value in self._settings.headers.items()}
        headers |= {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": _VERSION,
        }
        if self._settings.transport == "sse":
            return self._http.build_request("GET", self._url, headers=headers)
        params = {
            "protocolVersion": _VERSION,
            "capabilities": {},
            "clientInfo": {"name": "hub", "version": "0"},
        }
        body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
        return self._http.build_request("POST", self._url, json=body, headers=headers)

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        """With its body, unless it is the server's own, which may be a stream without an end."""
        try:
            response = await self._http.send(request, stream=True)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                await response.aread()
            await response.aclose()
            return response
        except httpx2.TransportError as error:
            where = request.url.copy_with(query=None)
            raise LoginFailed(f"{where} does not answer: {type(error).__name__} {error}".strip()) from None

    def _challenge(self, first: httpx2.Response, request: httpx2.Request) -> httpx2.Response:
        """The server's refusal, with the scopes to ask for in it.

        Those of the settings, or of the server; and what it has missed in the last token, together with what
        that one had (specification, "Step-Up Authorization Flow").
        """
        if first.status_code < 400 and self._settings.auth is None and self._before is None:
            raise LoginFailed("the server asks for no login: it answers without one")
        if first.status_code >= 400 and first.status_code not in (401, 403):
            raise LoginFailed(f"HTTP {first.status_code} from {first.request.url.copy_with(query=None)}")
        scopes = " ".join(self._login.scopes) or extract_scope_from_www_auth(first)
        if self._before is not None and self._before.more_scopes:
            granted = self._before.client.scope
            scopes = union_scopes(union_scopes(scopes, granted), self._before.more_scopes)
        parts = []
        if (metadata := extract_resource_metadata_from_www_auth(first)) is not None:
            parts.append(f'resource_metadata="{metadata}"')
        if scopes:
            parts.append(f'scope="{scopes}"')
        challenge = " ".join(("Bearer", ", ".join(parts))).strip()
        return httpx2.Response(401, headers={"www-authenticate": challenge}, request=request)

    # ------------------------------------------------------------ the person

    async def _to_browser(self, url: str) -> None:
        _refuse_unsafe(url)
        context = self._provider.context
        metadata, client, before = context.oauth_metadata, context.client_info, self._before
        if metadata is not None and client is not None and client.client_id == self._login.client_id:
            issuer = str(metadata.issuer)
            if (
                before is not None
                and before.client.client_id == client.client_id
                and not issuers_match(issuer, before.issuer)
            ):
                raise LoginFailed(
                    f"the server now names {issuer} as its authorization server; your `client_id` is of "
                    f"{before.issuer}. If that is right, log out first"
                )
            known = metadata.token_endpoint_auth_methods_supported or ["client_secret_basic"]
            if client.client_secret and "client_secret_post" not in known and "client_secret_basic" in known:
                client.token_endpoint_auth_method = "client_secret_basic"  # noqa: S105 - its name
        (state,) = parse_qs(urlsplit(url).query)["state"]
        self._receiver.expect(state)
        await self._show(url, self._receiver)

    async def _from_browser(self) -> AuthorizationCodeResult:
        try:
            async with asyncio.timeout(self._patience):
                answer = await self._receiver.answer()
        except TimeoutError:
            raise LoginFailed(f"nobody said yes in the browser within {self._patience:g} s") from None
        if "error" in answer:
            # Not before it is known to be this authorization server that says so (RFC 9207).
            validate_authorization_response_iss(answer.get("iss"), self._provider.context.oauth_metadata)
            raise LoginFailed(f"the authorization server said no: {_said(answer)}")
        return AuthorizationCodeResult(
            code=answer.get("code", ""), state=answer.get("state"), iss=answer.get("iss")
        )

    # ------------------------------------------------------------ the outcome

    def _record(self) -> LoginRecord:
        context = self._provider.context
        metadata, client, token = context.oauth_metadata, context.client_info, context.current_tokens
        assert client is not None  # the flow has come to its end
        assert token is not None
        origin = context.get_authorization_base_url(self._url)
        endpoint = metadata.token_endpoint if metadata is not None else None
        revocation = metadata.revocation_endpoint if metadata is not None else None
        # What was asked for and what was granted: the union that the next step-up begins with.
        client = client.model_copy(update={"scope": union_scopes(context.client_metadata.scope, token.scope)})
        return LoginRecord(
            url=self._url,
            issuer=str(metadata.issuer) if metadata is not None else origin,
            token_endpoint=str(endpoint) if endpoint is not None else urljoin(origin, "/token"),
            revocation_endpoint=str(revocation) if revocation is not None else None,
            resource=context.get_resource_url(),
            client=client,
            token=token,
            expires_at=expiry(token, time.time()),
        )

    def _words(self, error: OAuthFlowError) -> str:
        """The SDK's text up to where it quotes an answer, and of the answer what OAuth says is for people."""
        text = str(error).split("{", 1)[0].split("\n", 1)[0].split("<", 1)[0].strip(" :")[:300]
        try:
            body = json.loads(self._last.content) if self._last is not None else None
        except (ValueError, httpx2.ResponseNotRead):
            body = None
        said = _said(body) if isinstance(body, dict) and "error" in body else ""
        return f"{text}: {said}" if said else text


def _said(answer: Answer) -> str:
    words = [str(answer[name])[:200] for name in ("error", "error_description") if answer.get(name)]
    return ": ".join(words)


def _client_of(login: LoginSettings, redirect_uri: str) -> OAuthClientInformationFull | None:
    if login.client_id is None:
        return None
    secret = login.client_secret.get_secret_value() if login.client_secret is not None else None
    return OAuthClientInformationFull(
        client_id=login.client_id,
        client_secret=secret,
        redirect_uris=[AnyUrl(redirect_uri)],
        token_endpoint_auth_method="client_secret_post" if secret else "none",
    )


def _refuse_unsafe(url: str) -> None:
    """Tokens and codes travel over TLS, or do not leave this machine (OAuth 2.1, section 1.5)."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise LoginFailed(f"{parts.scheme}://{parts.hostname} is not safe to log in at: it has to be https")


class _Kept:
    """What the SDK keeps during one login."""

    def __init__(self, client: OAuthClientInformationFull | None) -> None:
        self._client = client
        self._token: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._token

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._token = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


async def take_back(record: LoginRecord) -> bool:
    """Ask the authorization server to forget the token (RFC 7009). False: it does not do that."""
    token = record.token
    if token is None or record.revocation_endpoint is None:
        return False
    client = record.client
    form = {"token": token.refresh_token or token.access_token, "client_id": client.client_id}
    # Servers made with the MCP SDK want the word `client_secret` of a public client, too; others may not
    # take an empty one.
    named = {**form, "client_secret": client.client_secret or ""}
    forms = [named] if client.client_secret else [form, named]
    try:
        async with httpx2.AsyncClient(timeout=_SECONDS) as http:
            for each in forms:
                if (await http.post(record.revocation_endpoint, data=each)).status_code == 200:
                    return True
    except httpx2.TransportError:
        pass
    return False
