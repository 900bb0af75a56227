"""The lean upstream client alone, at the edges of HTTP/1.1, on both event loops."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from routing.lean_upstream import LeanUpstream
from routing.table import Timeouts
from routing.upstream import Silence, UpstreamAnswer, UpstreamFault, UpstreamRequest

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LONG = Timeouts(connect=10, first_byte=10, idle=10)
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    """Runs a scenario to its end."""
    factory = pytest.importorskip("uvloop").new_event_loop if request.param == "uvloop" else None

    def runs(scenario: Awaitable[None]) -> None:
        async def in_time() -> None:
            async with asyncio.timeout(20):
                await scenario

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(in_time())

    return runs


class Server:
    """Reads requests whole; `answers` are written in turn, the last one again and again."""

    def __init__(self, *answers: bytes, then_close: bool = False) -> None:
        self.answers = list(answers)
        self.then_close = then_close
        self.requests: list[bytes] = []
        self.sockets = 0
        self.asked, self.gone = asyncio.Event(), asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sockets += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(sizes[0].split(b":")[1]) if sizes else 0)
                self.requests.append(head + body)
                self.asked.set()
                writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
                await writer.drain()
                if self.then_close:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[str]:
    served: set[asyncio.Task[None]] = set()

    async def serves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.add(task)
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serves, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat?x=1"
    finally:
        server.close()
        await asyncio.gather(*served)


@asynccontextmanager
async def asking(server: Server) -> AsyncIterator[LeanUpstream]:
    async with listening(server.serve) as server.url:
        upstream = LeanUpstream()
        try:
            yield upstream
        finally:
            await upstream.close()


async def send(
    upstream: LeanUpstream, url: str, *, body: bytes = b"{}", timeouts: Timeouts = LONG, method: str = "POST"
) -> UpstreamAnswer:
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    return await upstream.send(UpstreamRequest(url, headers, body, timeouts, method))


async def whole(upstream: LeanUpstream, server: Server, body: bytes = b"{}") -> bytes:
    answer = await send(upstream, server.url, body=body)
    try:
        return await answer.read_all(10_000_000)
    finally:
        answer.close()


async def fault_of(upstream: LeanUpstream, server: Server, timeouts: Timeouts = LONG) -> UpstreamFault:
    async def ask() -> None:
        answer = await send(upstream, server.url, timeouts=timeouts)
        await answer.read_all(10_000_000)

    with pytest.raises(UpstreamFault) as caught:
        await ask()
    return caught.value


def test_what_is_sent(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        server = Server(HELLO)
        async with asking(server) as upstream:
            assert await whole(upstream, server, b'{"a":1}') == b"hello"
            answer = await send(upstream, server.url, body=b"", method="GET")
            assert (answer.status, answer.headers) == (200, {"content-length": "5"})
            assert await answer.read_all(100) == b"hello"
        place = server.url.split("/")[2]
        head, body = server.requests[0].split(b"\r\n\r\n")
        assert head.decode().split("\r\n") == [
            "POST /v1/chat?x=1 HTTP/1.1",
            f"Host: {place}",
            "content-type: application/json",
            "accept-encoding: identity",
            "Content-Length: 7",
        ]
        assert body == b'{"a":1}'
        assert b"Content-Length" not in server.requests[1]
        assert server.sockets == 1

    run(scenario())


@pytest.mark.parametrize("size", [2**16, 2**20, 5 * 2**20])
def test_bodies_of_all_sizes_arrive_whole(run: Callable[..., None], size: int) -> None:
    async def scenario() -> None:
        server = Server(HELLO)
        body = bytes(range(256)) * (size // 256) + b"end"
        async with asking(server) as upstream:
            assert await whole(upstream, server, body) == b"hello"
            assert await whole(upstream, server) == b"hello"
        assert server.requests[0].split(b"\r\n\r\n", 1)[1] == body
        assert server.sockets == 1

    run(scenario())


ANSWERS = {
    "chunked": OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
    "chunked with trailers": OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
    "after hints": b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + HELLO,
    "gzip": OK + b"content-encoding: gzip\r\ncontent-length: 25\r\n\r\n" + gzip.compress(b"hello", mtime=0),
    "gzip in two members": OK
    + b"content-encoding: gzip\r\ncontent-length: 45\r\n\r\n"
    + gzip.compress(b"hel", mtime=0)
    + gzip.compress(b"lo", mtime=0),
    "deflate": OK + b"content-encoding: deflate\r\ncontent-length: 13\r\n\r\n" + zlib.compress(b"hello"),
    "bare deflate": OK
    + b"content-encoding: deflate\r\ncontent-length: 7\r\n\r\n"
    + zlib.compressobj(wbits=-15).compress(b"")
    + zlib.compress(b"hello")[2:-4],
    "lines that end in a line feed": OK.replace(b"\r", b"") + b"content-length: 5\n\nhello",
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_is_understood_and_keeps_the_connection(run: Callable[..., None], kind: str) -> None:
    async def scenario() -> None:
        server = Server(ANSWERS[kind])
        async with asking(server) as upstream:
            for _ in range(3):
                assert await whole(upstream, server) == b"hello"
        assert server.sockets == 1

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        HELLO + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
        HELLO + b"something that nobody asked for",
    ],
)
def test_what_ends_the_connection(run: Callable[..., None], answer: bytes) -> None:
    """Also bytes behind an answer: they must not become that of the next request."""

    async def scenario() -> None:
        server = Server(answer)
        async with asking(server) as upstream:
            for _ in range(3):
                assert await whole(upstream, server) == b"hello"
        assert server.sockets == 3

    run(scenario())


def test_bytes_on_an_idle_connection_end_it(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        writers: list[asyncio.StreamWriter] = []
        gone = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            await reader.readuntil(b"{}")
            writer.write(HELLO)
            try:
                await reader.read()
            finally:
                gone.set()

        upstream = LeanUpstream()
        async with listening(serve) as url:
            assert await (await send(upstream, url)).read_all(100) == b"hello"
            writers[0].write(HELLO.replace(b"hello", b"forge"))
            await gone.wait()
            assert await (await send(upstream, url)).read_all(100) == b"hello"
            await upstream.close()
        assert len(writers) == 2

    run(scenario())


def test_a_body_that_ends_with_the_connection(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        server = Server(OK + b"content-type: text/plain\r\n\r\nhello", then_close=True)
        async with asking(server) as upstream:
            for _ in range(2):
                assert await whole(upstream, server) == b"hello"

    run(scenario())


def test_a_kept_connection_that_was_closed_is_tried_once_more(run: Callable[..., None]) -> None:
    """The server takes the second request of a connection and breaks it; on a new one it answers."""

    async def scenario() -> None:
        counts: list[int] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            counts.append(0)
            mine = len(counts) - 1
            await reader.readuntil(b"{}")
            counts[mine] += 1
            writer.write(HELLO)
            await reader.readuntil(b"{}")
            counts[mine] += 1
            writer.close()

        upstream = LeanUpstream()
        async with listening(serve) as url:
            for _ in range(2):
                assert await (await send(upstream, url)).read_all(100) == b"hello"
            await upstream.close()
        assert counts == [2, 1]

    run(scenario())


def test_a_new_connection_is_not_tried_again(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        asked = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            await reader.readuntil(b"{}")
            asked += 1
            writer.close()

        upstream = LeanUpstream()
        async with listening(serve) as url:
            with pytest.raises(UpstreamFault, match="without an answer") as caught:
                await send(upstream, url)
            await upstream.close()
        assert (asked, caught.value.fault) == (1, "reset")

    run(scenario())


FAULTS = {
    "garbage": (b"SSH-2.0-OpenSSH\r\n", "garbage", "not answer in HTTP"),
    "a long head": (OK + b"x: " + b"y" * 70_000 + b"\r\n\r\n", "garbage", "head of its answer is longer"),
    "a head without end": (OK + b"x: y\r\n" * 20_000, "garbage", "head of its answer is longer"),
    "long trailers": (
        OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"x: y\r\n" * 40_000 + b"\r\n",
        "garbage",
        "longer",
    ),
    "an unknown coding": (OK + b"content-encoding: br\r\ncontent-length: 1\r\n\r\nx", "garbage", "`br`"),
    "half of gzip": (
        OK + b"content-encoding: gzip\r\ncontent-length: 15\r\n\r\n" + gzip.compress(b"hello")[:15],
        "garbage",
        "not in `gzip`",
    ),
    "a bad chunk": (OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n", "garbage", "broken"),
    "two lengths": (OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!", "garbage", "HTTP"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_is_refused(run: Callable[..., None], kind: str) -> None:
    answer, fault, told = FAULTS[kind]

    async def scenario() -> None:
        server = Server(answer)
        async with asking(server) as upstream:
            found = await fault_of(upstream, server)
            if "coding" not in kind and "gzip" not in kind:  # those are whole
                await server.gone.wait()
        assert (found.fault, told in str(found)) == (fault, True), str(found)

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "timeouts", "fault"),
    [
        (b"", Timeouts(10, 0.1, 10), "first_byte_timeout"),
        (b"", Timeouts(10, 10, 10, 0.1), "total_timeout"),
        (OK + b"content-length: 9\r\n\r\nhello", Timeouts(10, 10, 0.1), "idle_timeout"),
        (OK + b"content-length: 9\r\n\r\nhello", Timeouts(10, 10, 10, 0.1), "total_timeout"),
    ],
)
def test_who_says_nothing(run: Callable[..., None], answer: bytes, timeouts: Timeouts, fault: str) -> None:
    async def scenario() -> None:
        server = Server(answer)
        async with asking(server) as upstream:
            assert (await fault_of(upstream, server, timeouts)).fault == fault
            await server.gone.wait()

    run(scenario())


def test_silence_leaves_the_answer_as_it_was(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"{}")
            writer.write(OK + b"content-length: 10\r\n\r\nhello")
            await go.wait()
            writer.write(b"hello")
            await reader.read()
            writer.close()

        upstream = LeanUpstream()
        async with listening(serve) as url:
            answer = await send(upstream, url)
            assert await answer.read(5) == b"hello"
            for _ in range(2):
                with pytest.raises(Silence):
                    await answer.read(0.02)
            go.set()
            assert await answer.read() == b"hello"
            assert await answer.read() == b""
            await upstream.close()

    run(scenario())


@pytest.mark.parametrize("begun", [False, True])
def test_a_call_that_is_cancelled_closes_its_connection(run: Callable[..., None], begun: bool) -> None:
    async def scenario() -> None:
        server = Server(OK + b"content-length: 10\r\n\r\nhello" if begun else b"")
        async with asking(server) as upstream:

            async def ask() -> None:
                answer = await send(upstream, server.url)
                try:
                    await answer.read_all(100)
                finally:
                    answer.close()

            asked = asyncio.create_task(ask())
            await server.asked.wait()
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            await server.gone.wait()

    run(scenario())


def test_a_whole_answer_outlives_its_connection(run: Callable[..., None]) -> None:
    """It can be read while another request is under way on the connection, and closing it harms nobody."""

    async def scenario() -> None:
        server = Server(HELLO, HELLO.replace(b"hello", b"other"))
        async with asking(server) as upstream:
            first = await send(upstream, server.url)
            second = await send(upstream, server.url)
            first.close()
            assert await second.read_all(100) == b"other"
        assert server.sockets == 1

    run(scenario())


def test_a_small_gzip_of_something_huge_comes_in_pieces(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        packed = gzip.compress(bytes(50 * 2**20))
        server = Server(
            OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n%s" % (len(packed), packed)
        )
        async with asking(server) as upstream:
            answer = await send(upstream, server.url)
            size = 0
            while data := await answer.read():
                assert len(data) <= 2**20
                size += len(data)
            assert size == 50 * 2**20
            answer = await send(upstream, server.url)
            with pytest.raises(UpstreamFault, match="longer than"):
                await answer.read_all(3 * 2**20)

    run(scenario())


def test_headers_cannot_smuggle_lines(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        server = Server(HELLO)
        async with asking(server) as upstream:
            for value in ("a\r\nx: y", "a\nx: y", "a\rb", "a\0b"):
                request = UpstreamRequest(server.url, {"x-own": value}, b"{}", LONG)
                with pytest.raises(UpstreamFault, match="line break"):
                    await upstream.send(request)
        assert server.requests == []

    run(scenario())


def test_what_is_left_to_the_other_client(run: Callable[..., None]) -> None:
    class Other:
        asked: list[UpstreamRequest] = []

        async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
            self.asked.append(request)
            raise UpstreamFault("connect", "other")

        async def close(self) -> None:
            pass

    async def scenario() -> None:
        left = [
            UpstreamRequest("http://127.0.0.1:9/", {}, b"", LONG, proxy="http://127.0.0.1:9"),
            UpstreamRequest("http://user:word@127.0.0.1:9/", {}, b"", LONG),
            UpstreamRequest("http://127.0.0.1:9/", {"Host": "elsewhere"}, b"", LONG),
            UpstreamRequest("http://127.0.0.1:9/", {"Transfer-Encoding": "chunked"}, b"", LONG),
            UpstreamRequest("http://127.0.0.1:9/", {}, b"", LONG, "HEAD"),
            UpstreamRequest("http://127.0.0.1:9/a b", {}, b"", LONG),
            UpstreamRequest("ftp://127.0.0.1/", {}, b"", LONG),
        ]
        upstream = LeanUpstream(Other())
        for request in left:
            with pytest.raises(UpstreamFault, match="other"):
                await upstream.send(request)
        assert Other.asked == left
        off = LeanUpstream(Other(), enabled=lambda: False)
        with pytest.raises(UpstreamFault, match="other"):
            await off.send(UpstreamRequest("http://127.0.0.1:9/", {}, b"", LONG))

    Other.asked.clear()
    run(scenario())
