"""From the settings to what sends spans. OpenTelemetry's SDK is imported here, and only when used."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from hub.settings import Problem, SettingsError
from hub.settings.observability import TelemetrySettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_PATH = "/v1/traces"
_SILENT_SECONDS = 60.0
_TIMEOUT = 5.0
"""Seconds for one delivery to the collector."""


def tracer_provider(settings: TelemetrySettings, version: str) -> TracerProvider:
    """A provider of its own, not OpenTelemetry's global one: libraries in this process stay silent.

    Raises `SettingsError` where the SDK is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError:
        message = "traces need OpenTelemetry's SDK, which is not installed"
        raise SettingsError(
            [Problem(None, "telemetry", message, "pip install 'ccproxy-hub[telemetry]'")]
        ) from None
    name = os.environ.get("OTEL_SERVICE_NAME") or settings.service_name
    resource = Resource.create({"service.name": name, "service.version": version})
    provider = TracerProvider(
        resource=resource, sampler=ParentBased(TraceIdRatioBased(settings.sample)), shutdown_on_exit=False
    )
    headers = {name.lower(): value.get_secret_value() for name, value in settings.headers.items()}
    exporter = OTLPSpanExporter(
        endpoint=_endpoint(settings), headers=headers or None, timeout=_TIMEOUT if settings.endpoint else None
    )
    logging.getLogger(OTLPSpanExporter.__module__).addFilter(_seldom)  # a filter is added only once
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    return provider


def _endpoint(settings: TelemetrySettings) -> str | None:
    """None: as the `OTEL_EXPORTER_OTLP_…` variables say."""
    if settings.endpoint is None:
        return None
    base = settings.endpoint.rstrip("/")
    return base if base.endswith(_PATH) else base + _PATH


class _Seldom(logging.Filter):
    """A collector that is away is told once a minute, not once a second."""

    def __init__(self) -> None:
        super().__init__()
        self._told = -_SILENT_SECONDS

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._told < _SILENT_SECONDS:
            return False
        self._told = now
        return True


_seldom = _Seldom()
