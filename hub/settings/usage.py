"""Settings of the usage database, and what models cost."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from hub.settings.base import Model
from hub.settings.observability import Size, Span

_URL = re.compile(r"(sqlite:///.+|postgresql(\+psycopg)?://.+)")


def _database(url: SecretStr) -> SecretStr:
    if not _URL.fullmatch(url.get_secret_value()):
        raise ValueError(
            "is no address of a database: write `sqlite:////path/to/usage.db` or "
            "`postgresql+psycopg://user:password@host/name`"
        )
    return url


def _target(name: str) -> str:
    if "/" not in name and "*" not in name:
        raise ValueError(f"`{name}` names no provider: write `provider/{name}`, or `*/{name}` for any")
    return name


TargetGlob = Annotated[str, AfterValidator(_target)]
"""`provider/model`, where `*` stands for anything."""


class UsageSettings(Model):
    """What is written down of each chat and tool call: who, what, how much; never the content."""

    enabled: bool = True
    """`false` writes nothing down."""
    url: Annotated[SecretStr, AfterValidator(_database)] | None = None
    """`sqlite:////path/to/usage.db`, or `postgresql+psycopg://…` with the extra `postgres`; absent: a file
    in the user's state folder."""
    keep: Span = 90 * 86400.0
    """How long rows are kept, such as `90d`."""
    max_size: Size = 1_000_000_000
    """How large the database may become, such as `1GB`; the oldest rows go first."""


class AuditSettings(Model):
    """What is written down of tool calls beyond who, what, how long and how large."""

    arguments: bool = False
    """Keep what tools are called with, in the usage database. Without it there is a hash of it."""


class BasePriceSettings(Model):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    """Tokens of the request."""
    output: float = Field(default=0.0, ge=0)
    """Tokens of the answer, reasoning included."""
    cached: float | None = Field(default=None, ge=0)
    """Of the input: read from the provider's prompt cache; absent: as `input`."""
    cache_write: float | None = Field(default=None, ge=0)
    """Of the input: written into that cache; absent: as `input`."""


class LongPriceSettings(BasePriceSettings):
    """What a long request costs, all of it."""

    above: int = Field(gt=0)
    """For requests with more tokens of input than this."""


class PriceSettings(BasePriceSettings):
    """What a model costs, in US dollars per million tokens."""

    long: LongPriceSettings | None = None
    """For providers that ask more for long requests."""
