"""The token on each request to its server, and another try with a new one when it is refused."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2
from mcp.client.auth.utils import extract_field_from_www_auth

from hub.oauth.login import Login


class BearerAuth(httpx2.Auth):
    """Sends nothing while nobody has logged in. Raises what `Login.access_token` raises."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._origin = _origin(httpx2.URL(login.url))

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        token = await self._login.access_token() if _origin(request.url) == self._origin else None
        if token is None:
            yield request
            return
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code != 401:
            return
        another = await self._login.another_token(token)
        if another is not None:
            request.headers["Authorization"] = f"Bearer {another}"
            yield request


def missing_scopes(response: httpx2.Response) -> str | None:
    """The scopes of a refusal for want of them, maybe none by name; None: it is no such refusal.

    RFC 6750, section 3.1, and the specification's "Scope Challenge Handling".
    """
    if response.status_code != 403 or extract_field_from_www_auth(response, "error") != "insufficient_scope":
        return None
    return extract_field_from_www_auth(response, "scope") or ""


def asks_for_bearer(response: httpx2.Response) -> bool:
    """Whether a 401 is one that `hub login` can do something about."""
    challenge = response.headers.get("www-authenticate", "")
    return response.status_code == 401 and challenge.lower().lstrip().startswith("bearer")


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
