"""Random and malformed requests at every endpoint: an error in the protocol's shape, never a failure."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.registry import codecs
from routing.table import Target
from tests.routing.samples import SAMPLES, error_message
from tests.routing.scripted_upstream import Connection, Received, answers, scripted
from tests.routing.serving import PROVIDER_KEY, group, provider, serving, table

pytestmark = pytest.mark.usefixtures("upstream_client")

POSTS = [
    (codec.name, route.path.replace("{model:path}", "any/model"))
    for codec in codecs()
    for route in codec.routes
    if route.method == "POST" and not route.path.startswith(("/v1/models", "/v1alpha", "/models"))
]
GROUPS = tuple(f"to-{protocol}" for protocol in SAMPLES)


async def any_protocol(received: Received, connection: Connection) -> None:
    """Answers in the protocol that is asked."""
    path = received.target.partition("?")[0]
    for sample in SAMPLES.values():
        if path.endswith(sample.path.rpartition("/")[2].removeprefix("any")):
            await answers(sample.answer)(received, connection)
            return
    await answers({"error": "no such path"}, 404)(received, connection)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A gateway with one group per protocol, in a thread of its own."""
    started, address = threading.Event(), []

    async def run() -> None:
        nonlocal stopping
        stopping = asyncio.Event()
        async with AsyncExitStack() as stack:
            upstream = await stack.enter_async_context(scripted(any_protocol))
            targets = [Target(provider(protocol, upstream.url), "m") for protocol in SAMPLES]
            groups = [group(target, name=name) for target, name in zip(targets, GROUPS, strict=True)]
            served = await stack.enter_async_context(serving(table(*groups, default=GROUPS[0])))
            address.append(served.url)
            loops.append(asyncio.get_running_loop())
            started.set()
            await stopping.wait()

    stopping: asyncio.Event
    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(10)
    yield address[0]
    loops[0].call_soon_threadsafe(stopping.set)
    thread.join(10)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["user", "assistant", "system", "tool", "text", "auto", "function", "image_url", ""])
)
FIELDS = st.sampled_from(
    [
        *("model", "messages", "input", "contents", "prompt", "system", "role", "content", "type", "text"),
        *("parts", "stream", "tools", "tool_choice", "max_tokens", "function", "name", "arguments"),
        *("parameters", "tool_calls", "id", "tool_use_id", "tool_call_id", "image_url", "url", "source"),
        *("data", "thinking", "reasoning", "instructions", "generationConfig", "systemInstruction"),
        *("functionCall", "functionResponse", "inlineData", "stop", "temperature", "options", "format"),
        *("images", "response_format", "metadata", "n", "seed"),
    ]
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=15,
)


@st.composite
def bodies(draw: st.DrawFn, sample: dict[str, Any]) -> bytes:
    """Noise, JSON of any form, or a good body in which one thing is wrong."""
    kind = draw(st.sampled_from(["noise", "json", "twisted", "twisted", "cut"]))
    if kind == "noise":
        return draw(st.binary(max_size=100))
    if kind == "json":
        return json.dumps(draw(st.dictionaries(FIELDS, JSON, max_size=6))).encode()
    document = json.loads(json.dumps(sample))
    if kind == "cut":
        whole = json.dumps(document).encode()
        return whole[: draw(st.integers(0, len(whole)))]
    place: Any = document
    key: Any = draw(st.sampled_from([*place, *draw(st.lists(FIELDS, min_size=1, max_size=2))]))
    for _ in range(draw(st.integers(0, 4))):
        inner = place.get(key) if isinstance(place, dict) else place[key]
        if not inner or not isinstance(inner, (dict, list)):
            break
        place = inner
        key = draw(st.sampled_from([*place] if isinstance(place, dict) else range(len(place))))
    place[key] = draw(JSON)
    return json.dumps(document).encode()


class Failures(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))


@pytest.mark.parametrize(("protocol", "path"), POSTS, ids=[path for _, path in POSTS])
@given(data=st.data())
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
def test_bodies(url: str, client: httpx.Client, protocol: str, path: str, data: st.DataObject) -> None:
    sample = SAMPLES[protocol]
    body = data.draw(bodies(sample.body))
    name = data.draw(st.sampled_from(GROUPS))
    failures = Failures()
    logging.getLogger("hub.routing").addHandler(failures)
    try:
        answer = client.post(f"{url}/{name}{path}", content=body)
    finally:
        logging.getLogger("hub.routing").removeHandler(failures)
    assert failures.seen == []
    assert PROVIDER_KEY not in answer.text
    if answer.status_code != 200:
        assert error_message(sample, answer.json())
        # 501: the operation is not converted; 404 and 502: what the scripted upstream has no answer for.
        assert answer.status_code in (400, 404, 413, 422, 501, 502)


TOKENS = st.text("!#$%&'*+-.^_`|~0123456789abcXYZ", min_size=1, max_size=15)
HEADER_VALUES = st.binary(max_size=40).filter(lambda value: not set(value) & set(b"\r\n\0"))
SEGMENTS = ["v1", "v1beta", "models", "chat", "completions", "messages", "api", "switch", "compat", GROUPS[1]]
PATHS = st.lists(st.sampled_from(SEGMENTS) | st.text(max_size=10), max_size=6).map("/".join)


def exchange(url: str, request: bytes) -> bytes:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while data := connection.recv(65536):
            received += data
    return received


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"]) | TOKENS,
    path=PATHS.map(lambda path: quote(f"/{path}").encode()),
    headers=st.lists(st.tuples(TOKENS, HEADER_VALUES), max_size=5),
    body=st.binary(max_size=40),
)
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
def test_paths_and_headers(
    url: str, method: str, path: bytes, headers: list[tuple[str, bytes]], body: bytes
) -> None:
    lines = [f"{method} ".encode() + path + b" HTTP/1.1", b"host: x", b"connection: close"]
    lines += [name.encode() + b": " + value for name, value in headers]
    lines.append(f"content-length: {len(body)}".encode())
    received = exchange(url, b"\r\n".join((*lines, b"", body)))
    status = int(received.split(b" ", 2)[1])
    assert status < 500 or status == 501
    if status >= 400 and method != "HEAD" and b"Invalid HTTP request" not in received:
        document = json.loads(received.partition(b"\r\n\r\n")[2])
        assert "error" in document


@pytest.mark.parametrize("value", [b"-1", b"abc", b"1e3", b"99999999999999999999", b" ", b"5, 6"])
def test_bad_content_lengths(url: str, value: bytes) -> None:
    received = exchange(
        url, b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: " + value + b"\r\n\r\n{}"
    )
    assert received == b"" or received.startswith(b"HTTP/1.1 4")
