"""The place on this machine to which the browser comes back: `http://127.0.0.1:PORT/callback`.

RFC 8252, section 7.3. It listens on loopback alone, for one login, and lets nothing pass but an answer with
the state of that login: any page could call it.
"""

from __future__ import annotations

import asyncio
import secrets
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

_PATH = "/callback"
_HEAD_SECONDS = 10
_PAGE = (
    "<!doctype html><meta charset=utf-8><title>hub</title>"
    "<body style='font: 1.1rem system-ui; margin: 4rem auto; max-width: 34rem'><p>{}</p>"
)
_DONE = "That is all: you can close this page and go back to the terminal."
_NOT_THIS = "This is not the answer to a login that is under way. Nothing was done."

Answer = dict[str, str]
"""The parameters of an authorization response."""


class WrongState(Exception):
    """An answer to another request than the one that was made."""


class Receiver:
    """An async context manager. `expect` the state of the request, then wait for the `answer`."""

    def __init__(self, port: int | None = None) -> None:
        self._port = port or 0
        self._state: str | None = None
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Receiver:
        """Raises OSError where the port is taken."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._answer.cancel()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}{_PATH}"

    def expect(self, state: str) -> None:
        self._state = state

    async def answer(self) -> Answer:
        return await asyncio.shield(self._answer)

    def take(self, url: str) -> None:
        """An answer as the browser's address line shows it. Raises WrongState."""
        answer = {name: values[0] for name, values in parse_qs(urlsplit(url.strip()).query).items()}
        given = answer.get("state", "")
        if self._state is None or not secrets.compare_digest(given.encode(), self._state.encode()):
            raise WrongState
        if not self._answer.done():
            self._answer.set_result(answer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            status, text = self._respond(method, target)
            page = _PAGE.format(text).encode()
            writer.write(
                f"HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\n"
                f"content-length: {len(page)}\r\ncache-control: no-store\r\nreferrer-policy: no-referrer\r\n"
                "connection: close\r\n\r\n".encode()
                + page
            )
            await writer.drain()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # no browser
        finally:
            writer.close()

    def _respond(self, method: str, target: str) -> tuple[str, str]:
        if method != "GET" or urlsplit(target).path != _PATH:
            return "404 Not Found", _NOT_THIS
        try:
            self.take(target)
        except WrongState:
            return "400 Bad Request", _NOT_THIS
        return "200 OK", _DONE
