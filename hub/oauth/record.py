"""What is kept of a login, as one secret."""

from __future__ import annotations

from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import BaseModel, ValidationError


class LoginRecord(BaseModel, frozen=True):
    """A login at one server, with what is needed to refresh its token without asking around anew."""

    url: str
    """The server's, so that a token never goes to another one."""
    issuer: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    resource: str | None = None
    """The resource indicator (RFC 8707) of the token requests; None where the server has no metadata."""
    client: OAuthClientInformationFull
    token: OAuthToken | None = None
    """None once it has been refused: the rest says what to ask for the next time."""
    expires_at: float | None = None
    """Unix seconds; None: the authorization server did not say."""
    more_scopes: str | None = None
    """What the server has missed in the token since then (`insufficient_scope`)."""

    def __repr__(self) -> str:
        return f"LoginRecord(url={self.url!r})"

    __str__ = __repr__  # pydantic's would show the token


def secret_name(server: str, url: str) -> str:
    """Under which it is kept. A server of another address is another login."""
    return f"login {server} {url}"


def read_record(text: str | None, url: str) -> LoginRecord | None:
    """None where there is none, or none that this hub can use."""
    if text is None:
        return None
    try:
        record = LoginRecord.model_validate_json(text)
    except ValidationError:
        return None
    return record if record.url == url else None
