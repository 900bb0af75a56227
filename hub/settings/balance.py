"""Settings of how requests are shared out, and how hard the hub tries."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from hub.settings.base import Model
from hub.settings.observability import Span


class LimitSettings(Model):
    """How much is asked of one key, or of one target. Whoever is at its limit is passed over."""

    rpm: float | None = Field(default=None, gt=0)
    """Requests a minute."""
    tpm: float | None = Field(default=None, gt=0)
    """Tokens a minute, input and output together, counted when the answer is complete."""
    concurrency: int | None = Field(default=None, ge=1)
    """Requests at once."""


class SomeTimeoutSettings(Model):
    """Seconds, in place of the provider's."""

    connect: float | None = Field(default=None, gt=0)
    """Until the connection stands."""
    first_byte: float | None = Field(default=None, gt=0)
    """From the end of the request to the beginning of the answer."""
    idle: float | None = Field(default=None, gt=0)
    """Between two pieces of a streamed answer."""
    total: float | None = Field(default=None, gt=0)
    """For the whole answer."""


class RetrySettings(Model):
    """How hard a group tries before the client is told that nobody answers."""

    attempts: int = Field(default=10, ge=1, le=100)
    """Requests sent upstream for one of the client's, those to the fallback included."""
    budget: float = Field(default=2.0, ge=0, le=600)
    """Seconds that a request waits in all while everybody is cooling down. 0: it never waits."""


class AffinitySettings(Model):
    """Keeping a conversation at the target and the key that it began with."""

    ttl: Span = 3600.0
    """How long after its last request a conversation's place is remembered, such as `1h`."""
    header: Annotated[str, AfterValidator(str.lower)] | None = Field(
        default=None, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
    )
    """A header of your clients that names the conversation; the usual ones are known."""
    prefix: bool = True
    """Know a conversation that nothing names by its system prompt and its first message."""
