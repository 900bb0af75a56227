"""A planted secret is looked for in everything that a client or a log gets to see."""

from __future__ import annotations

import json
import logging
from urllib.parse import quote

import httpx
import pytest

from routing.table import Provider, Target
from tests.routing.samples import SAMPLES, error_of
from tests.routing.scripted_upstream import Connection, Received, Script, answers, scripted, streams
from tests.routing.serving import BASE_PATHS, group, serving, table

KEY, HEADER_SECRET = "sk-planted-key-4711", "planted/header+secret=0815"
CLIENT_KEY = "client-key-that-stays-here"
SAID = f"key {KEY} or {HEADER_SECRET} or {quote(HEADER_SECRET, safe='')} at https://x/?key={KEY}"


def echoing(status: int, protocol: str) -> Script:
    return answers(
        error_of(SAMPLES[protocol], SAID), status, {"x-ratelimit-note": KEY, "www-authenticate": KEY}
    )


async def drop(_: Received, connection: Connection) -> None:
    connection.abort()


def failing_stream(protocol: str) -> Script:
    sample = SAMPLES[protocol]
    error = sample.stream_error.replace(b"it is overloaded", SAID.encode())
    return streams(sample.stream[0], error, content_type=sample.stream_type)


SCRIPTS = {
    **{
        str(status): lambda protocol, status=status: echoing(status, protocol)
        for status in (400, 401, 429, 500)
    },
    "first event": lambda protocol: streams(
        SAMPLES[protocol].stream_error.replace(b"it is overloaded", SAID.encode()),
        content_type=SAMPLES[protocol].stream_type,
    ),
    "later event": failing_stream,
    "garbage": lambda protocol: answers(SAID.encode()),
    "drop": lambda protocol: drop,
}


@pytest.mark.parametrize("case", SCRIPTS)
@pytest.mark.parametrize("target_protocol", SAMPLES)
@pytest.mark.parametrize("client_protocol", ["openai", "anthropic", "gemini"])
async def test_nothing_leaks(
    client_protocol: str, target_protocol: str, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    ours = SAMPLES[client_protocol]
    async with scripted(SCRIPTS[case](target_protocol)) as upstream:
        base = upstream.url + BASE_PATHS[target_protocol]
        up = Provider("up", target_protocol, base, (KEY,), {"x-extra": f"Token {HEADER_SECRET}"})
        async with serving(table(group(Target(up, "m")))) as hub, httpx.AsyncClient() as client:
            joint = "&" if "?" in ours.stream_path else "?"
            answer = await client.post(
                f"{hub.url}/g{ours.stream_path}{joint}key={CLIENT_KEY}",
                json=ours.stream_body,
                headers={"authorization": f"Bearer {CLIENT_KEY}", "x-goog-api-key": CLIENT_KEY},
            )
            records = repr(hub.records)
    received = upstream.requests[0]
    assert KEY in str(received), "the secret has to be there to leak"
    assert CLIENT_KEY not in str(upstream.requests)
    seen = {
        "body": answer.text,
        "headers": str(answer.headers),
        "logs": caplog.text,
        "records": records,
        "repr": repr(hub.table) + repr(hub.gateway.services),
    }
    for secret in (KEY, HEADER_SECRET, quote(HEADER_SECRET, safe=""), json.dumps(HEADER_SECRET)[1:-1]):
        assert [place for place, text in seen.items() if secret in text] == []
