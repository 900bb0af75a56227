"""Settings of OAuth, in both directions: logging in at MCP servers, and taking tokens from clients."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from hub.settings.base import Model, Strings

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


class LoginSettings(Model):
    """How the hub logs in at a remote MCP server. `oauth` alone is short for nothing but defaults.

    The client's id comes from the first of these that there is: `client_id`, a metadata document, dynamic
    registration. https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration
    """

    client_id: str | None = Field(default=None, min_length=1)
    """Of a client that you have registered at the authorization server."""
    client_secret: SecretStr | None = None
    """Of that client, where it has one."""
    client_metadata_url: str | None = None
    """An https address of a client-id metadata document that you host."""
    scopes: Strings = ()
    """What to ask for; absent: what the server names."""
    redirect_port: int | None = Field(default=None, ge=1, le=65535)
    """The port of `http://127.0.0.1:PORT/callback`, where the registration names one; absent: a free one."""

    @field_validator("client_metadata_url")
    @classmethod
    def _document(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "")
        if url is not None and (parts.scheme != "https" or parts.path in ("", "/")):
            raise ValueError("must be an https address with a path, such as https://example.com/hub.json")
        return url

    @model_validator(mode="after")
    def _whole(self) -> LoginSettings:
        if self.client_secret is not None and self.client_id is None:
            raise ValueError("a `client_secret` needs its `client_id`")
        if self.client_id is not None and self.client_metadata_url is not None:
            raise ValueError("give either `client_id` or `client_metadata_url`")
        return self


def _short(value: object) -> object:
    return {} if value == "oauth" else value


Login = Annotated[
    LoginSettings | None,
    BeforeValidator(_short, json_schema_input_type=Literal["oauth"] | LoginSettings | None),
]


class TokenSettings(Model):
    """Access tokens (JWT) of an authorization server that open the hub, beside its keys.

    https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization
    """

    issuer: str
    """The authorization server, as its tokens name it in `iss`."""
    audience: Strings = Field(min_length=1)
    """What tokens have to name in `aud`: the hub's address as clients know it, `https://hub.example.com/mcp`."""
    resource: str | None = None
    """The hub's address as clients know it, where `audience` is no address."""
    jwks_url: str | None = None
    """Where its public keys are; absent: where its metadata says."""
    algorithm: Literal[
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
    ] = "RS256"
    """How it signs."""
    scopes: Strings = ()
    """What every token has to have."""
    limit_by_scopes: bool = False
    """Whether tokens open only what their scopes name: `group:NAME`, `profile:NAME`, `server:NAME`."""

    @property
    def resource_url(self) -> str:
        return self.resource or self.audience[0]

    @model_validator(mode="after")
    def _address(self) -> TokenSettings:
        parts = urlsplit(self.resource_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("needs the hub's address as `resource`, since `audience` is none")
        return self

    @field_validator("issuer", "jwks_url")
    @classmethod
    def _safe(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "")
        if url is not None and (
            not parts.hostname
            or parts.scheme not in ("http", "https")
            or (parts.scheme == "http" and parts.hostname not in _LOOPBACK)
        ):
            raise ValueError("must be an https address; http is for this machine alone")
        return url
