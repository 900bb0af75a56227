"""Settings of providers: anything with a chat API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, SecretStr

from hub.settings.balance import LimitSettings
from hub.settings.base import Model

ProtocolName = Annotated[str, Field(min_length=1)]
"""A built-in protocol's, or one that an installed distribution adds; `hub.settings.checks` looks it up."""


class TimeoutSettings(Model):
    """Seconds. `first_byte` counts from the request's end, `idle` between two chunks."""

    connect: float = Field(default=10, gt=0)
    """Until the connection stands."""
    first_byte: float = Field(default=300, gt=0)
    """From the end of the request to the beginning of the answer; models that reason take their time."""
    idle: float = Field(default=300, gt=0)
    """Between two pieces of a streamed answer."""
    total: float | None = Field(default=None, gt=0)
    """For the whole answer; none by default."""


class TlsSettings(Model):
    """TLS with a provider. Files are in PEM; a relative path counts from where the hub was started."""

    verify: bool = True
    """Whether its certificate is checked. Without it anyone on the way can read keys and chats."""
    ca_file: str | None = None
    """Who may sign its certificate; absent: whom the system trusts."""
    certificate: str | None = None
    """The hub's own certificate with its chain, for a provider that asks for one."""
    key: str | None = None
    """The certificate's private key, unencrypted; absent: it is in the same file."""


class EmbeddedSettings(Model):
    """A llama.cpp server that the hub starts and stops itself."""

    model: str = "smollm2"
    """`smollm2` (SmolLM2-135M-Instruct) or the path of a GGUF file."""
    context_size: int = Field(default=8192, ge=256)
    """Tokens of prompt and answer together."""
    threads: int | None = Field(default=None, ge=1)
    """Threads for the computation; by default as many as there are cores."""


class ProviderSettings(Model):
    """Anything with a chat API. A name of the built-in table needs no further keys."""

    protocol: ProtocolName | None = None
    """The API that it speaks: openai, openai-responses, anthropic, gemini, ollama, or an installed one."""
    base_url: str | None = None
    """What that protocol's own SDK takes as its base URL: with `/v1` for OpenAI, without for Anthropic."""
    api_key: SecretStr | None = None
    """Its key, best as `${VARIABLE}`. A built-in provider without `base_url` has a variable for it."""
    api_keys: tuple[SecretStr, ...] = ()
    """Several keys, used in turn when one is refused or at its limit."""
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    """Sent with every request."""
    proxy: SecretStr | None = None
    """HTTP proxy for its requests, `http://[user:password@]host:port`; the environment's are not used."""
    tls: TlsSettings = TlsSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    limits: LimitSettings | None = None
    """What is asked of it at most with each of its keys."""
    embedded: EmbeddedSettings | None = None
    """Makes this provider a llama.cpp server that the hub itself runs."""
