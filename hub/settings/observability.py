"""Settings of what lets one see inside: the log, traces, and the recorder of exchanges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from hub.settings.base import Model, Strings
from hub.settings.server import LogLevel

_UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def size_in_bytes(value: object) -> object:
    """`20MB`, `1.5 GiB` or a number of bytes. Raises ValueError."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?i?)b?\s*", value.lower())
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"`{value}` is no size: write it like 500MB")
    return int(float(match[1]) * _UNITS[match[2]])


def span_in_seconds(value: object) -> object:
    """`7d`, `12h`, `30m`, `90s` or a number of seconds. Raises ValueError."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*", value.lower())
    if match is None:
        raise ValueError(f"`{value}` is no length of time: write it like 7d, 12h or 30m")
    return float(match[1]) * _SECONDS[match[2] or "s"]


def _pattern(value: object) -> object:
    if isinstance(value, str):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"`{value}` is no regular expression: {error}") from None
    return value


def _path_or_switch(value: object) -> object:
    """Settings files give text: `true` and `false` are no paths."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


Size = Annotated[int, BeforeValidator(size_in_bytes, json_schema_input_type=int | str), Field(gt=0)]
Span = Annotated[float, BeforeValidator(span_in_seconds, json_schema_input_type=float | str), Field(gt=0)]
Pattern = Annotated[str, BeforeValidator(_pattern)]


class LogSettings(Model):
    """What is written to standard error, and to the log file that `hub logs` reads."""

    format: Literal["text", "json"] = "text"
    """Of standard error. The log file always has one JSON object per line."""
    level: LogLevel | None = None
    """How much is logged; absent: `server.log_level`."""
    access: bool = True
    """A line in the log file for each request."""
    file: Annotated[bool | Path, BeforeValidator(_path_or_switch)] = True
    """The log file: a path, `false` for none, or `true` for one in the user's state folder."""
    max_size: Size = 10_000_000
    """When the file is longer it is put aside and a new one begun; also `20MB`."""
    keep: int = Field(default=4, ge=0, le=1000)
    """How many files that were put aside are kept."""


class TelemetrySettings(Model):
    """OpenTelemetry traces over OTLP/HTTP. Needs the extra `telemetry`."""

    enabled: bool = True
    """`false` keeps the section and sends nothing."""
    endpoint: str | None = None
    """The collector, such as `http://localhost:4318`; absent: as the `OTEL_…` variables say."""
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    """Sent to the collector."""
    service_name: str = Field(default="ccproxy-hub", min_length=1)
    """The name of this hub in traces; the variable `OTEL_SERVICE_NAME` wins."""
    sample: float = Field(default=1.0, ge=0, le=1)
    """The share of traces that is sent. What a client's `traceparent` says comes first."""
    propagate: bool = True
    """Tell providers and MCP servers the trace (`traceparent`)."""


class RecorderSettings(Model):
    """Keeps full exchanges with models, for `hub recordings` and `hub replay`. Off unless written."""

    enabled: bool = True
    """`false` keeps the section and records nothing."""
    groups: Strings = ("*",)
    """Globs of the groups whose exchanges are recorded."""
    keep: Span = 7 * 86400.0
    """How long a recording is kept, such as `7d`."""
    max_size: Size = 500_000_000
    """How much all recordings may take; the oldest go first. Also `500MB`."""
    max_body: Size = 5_000_000
    """Of a longer body the rest is left out. Also `5MB`."""
    redact: tuple[Pattern, ...] = ()
    """Regular expressions of what is masked, in the log too, beside all secrets of the settings and usual
    forms of keys."""
    file: Path | None = None
    """The database; absent: one in the user's state folder."""
