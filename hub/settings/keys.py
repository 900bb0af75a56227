"""Settings of the keys that clients present: the same for `keys:` and for what `hub keys` stores."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from hub.settings.base import Model, Strings
from hub.state_folder import state_folder

Period = Literal["day", "month"]

_BUDGET = re.compile(r"\$?(?P<amount>[0-9]{1,12}(?:\.[0-9]{1,6})?)(?:\s*/\s*(?P<period>day|month))?")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


class Budget(NamedTuple):
    """`amount` in US dollars, for each day or month (in UTC), or once and for all."""

    amount: float
    period: Period | None

    def __str__(self) -> str:
        amount = f"{self.amount:.6f}".rstrip("0").rstrip(".")
        return f"{amount}/{self.period}" if self.period else amount


def read_budget(text: str) -> Budget:
    """`10`, `10/day`, `$2.50/month`. Raises ValueError."""
    match = _BUDGET.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            "must be an amount in US dollars: `10/day`, `25.50/month`, or `100` once and for all"
        )
    period: Any = match["period"]
    return Budget(float(match["amount"]), period)


def read_moment(text: str) -> datetime:
    """`2027-01-31` (its first moment) or `2027-01-31T12:00:00+01:00`; without a zone: UTC. ValueError."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("must be a date or a time, like `2027-01-31` or `2027-01-31T18:00:00Z`") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _budget(text: str) -> str:
    return str(read_budget(text))


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text.strip().lower()):
        raise ValueError("must be `sha256:` and the 64 hexadecimal digits of the key's SHA-256")
    return text.strip().lower()


def _moment(value: object) -> object:
    return read_moment(value) if isinstance(value, str) else value


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class KeySettings(Model):
    """A key that clients present to the hub. What is absent is not limited."""

    key: SecretStr | None = Field(default=None, min_length=1)
    """What the client sends, best as `${VARIABLE}`."""
    hash: Annotated[str, AfterValidator(_hash)] | None = None
    """In place of `key`: `sha256:` and the SHA-256, in hexadecimal, of a key that is long and random."""
    groups: Strings | None = None
    """The groups that it may name; absent: all."""
    profiles: Strings | None = None
    """The profiles that it may use; with any here, `/mcp` and `/mcp/{server}` are closed to it."""
    servers: Strings | None = None
    """The MCP servers whose tools, prompts and resources it may see, on any MCP endpoint that it may use."""
    tools: Strings | None = None
    """Globs over the tools' public names (`server_tool`): what it may see and call."""
    budget: Annotated[str, BeforeValidator(_text), AfterValidator(_budget)] | None = None
    """US dollars: `10/day`, `25.50/month` (in UTC), or `100` once and for all. Needs prices of its models."""
    rpm: int | None = Field(default=None, ge=1)
    """Requests per minute."""
    tpm: int | None = Field(default=None, ge=1)
    """Tokens per minute, input and output together."""
    concurrency: int | None = Field(default=None, ge=1)
    """Requests at once; a stream counts until it ends."""
    expires: Annotated[datetime, BeforeValidator(_moment, json_schema_input_type=str)] | None = None
    """From then on it is refused: `2027-01-31` (its first moment in UTC) or `2027-01-31T18:00:00+01:00`."""

    @model_validator(mode="after")
    def _one_secret(self) -> KeySettings:
        if (self.key is None) == (self.hash is None):
            raise ValueError("needs either `key` or `hash`")
        return self

    @property
    def is_limited(self) -> bool:
        """Whether it opens less than everything."""
        limits = (self.groups, self.profiles, self.servers, self.tools)
        rates = (self.budget, self.rpm, self.tpm, self.concurrency)
        return any(limit is not None for limit in (*limits, *rates))


def default_keys_file() -> Path:
    """Where `hub keys` stores the keys of this user's hubs, unless `keys_file` says another place."""
    return state_folder() / "keys.json"
