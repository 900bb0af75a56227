"""A bridge between MCP on lines (stdio) and MCP over Streamable HTTP, for both protocol eras.

Messages pass verbatim. What the two transports say differently is translated:

- the older era's session: its id and version are kept and sent, and where the hub has forgotten it
  (a restart), a new one is opened with the client's own first message;
- the stateless era's headers, and cancellation, which is the end of the answer's stream there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from hub.cli.client import error_message
from hub.cli.mcp_http import TIMEOUT, messages, modern_headers, modern_version

Message = Mapping[str, Any]

_NO_ANSWER = -32000
_PARSE_ERROR = -32700
_CONNECT_SECONDS = 3.0
"""How long a message waits for a hub that is being restarted."""
_CONNECT_DELAY = 0.25
_FAREWELL_SECONDS = 5.0
_LISTEN_DELAY = 0.5
_LONGEST_LISTEN_DELAY = 5.0
_BASE_HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


class Bridge:
    """One client's way to one endpoint. `write` gets a message for the client at a time."""

    def __init__(self, url: str, headers: Mapping[str, str], write: Callable[[bytes], None]) -> None:
        self._url = url
        self._write = write
        self._client = httpx.AsyncClient(
            headers={**_BASE_HEADERS, **headers}, timeout=TIMEOUT, trust_env=False
        )
        self._session = _Session()
        self._renewing = asyncio.Lock()
        self._modern: str | None = None
        self._running: dict[str, tuple[asyncio.Task[None], Message]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._mirrored = _MirroredParameters()

    async def __aenter__(self) -> Bridge:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let running requests end, for a short time; then close the session."""
        ending = [
            task for task, message in self._running.values() if _method(message) != "subscriptions/listen"
        ]
        if ending:
            await asyncio.wait(ending, timeout=_FAREWELL_SECONDS)
        tasks = [task for task, _ in self._running.values()]
        tasks += [self._listening] if self._listening is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session.id is not None:
            with contextlib.suppress(httpx.HTTPError):
                await self._client.delete(self._url, headers=self._session.headers, timeout=1)
        await self._client.aclose()

    # ------------------------------------------------------------ from the client

    async def take(self, line: bytes) -> None:
        """One line of the client. Requests run beside each other; all else is passed on in order."""
        line = line.strip()
        if not line:
            return
        try:
            message = json.loads(line)
        except ValueError:
            self._write_error(None, _PARSE_ERROR, "this line is not JSON")
            return
        if not isinstance(message, dict):  # a batch of 2025-03-26
            await self._pass_on(line, {})
        elif "method" in message and "id" in message:
            await self._start_request(line, message)
        elif not self._is_modern_cancellation(message):
            await self._pass_on(line, message)
            if _method(message) == "notifications/initialized" and self._listening is None:
                self._session.initialized = line
                self._listening = asyncio.create_task(self._listen())

    async def _start_request(self, line: bytes, message: Message) -> None:
        self._modern = modern_version(message) or self._modern
        key = json.dumps(message["id"])
        task = asyncio.create_task(self._request(line, message))
        self._running[key] = (task, message)
        task.add_done_callback(lambda _: self._running.pop(key, None))
        if _method(message) == "initialize":  # all others need its session
            self._session = _Session(initialize=line)
            await asyncio.wait([task])

    def _is_modern_cancellation(self, message: Message) -> bool:
        """Cancel the request that it names, where that was sent in the stateless era."""
        if _method(message) != "notifications/cancelled":
            return False
        task, request = self._running.get(json.dumps(_params(message).get("requestId")), (None, {}))
        if task is not None and modern_version(request) is not None:
            task.cancel()
            return True
        return task is None and self._modern is not None and self._session.id is None

    # ------------------------------------------------------------ to the hub and back

    async def _request(self, line: bytes, message: Message) -> None:
        """Send a request and write what comes back: exactly one answer, from the hub or about it."""
        try:
            answered = await self._exchange(line, message)
        except httpx.ConnectError:
            self._write_error(
                message["id"],
                _NO_ANSWER,
                f"no hub runs at {self._url.partition('/mcp')[0]}; start one: hub serve",
            )
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            self._write_error(message["id"], _NO_ANSWER, f"the hub's answer broke off: {reason}")
        else:
            if not answered:
                self._write_error(message["id"], _NO_ANSWER, "the hub's answer ended too early")

    async def _exchange(self, line: bytes, message: Message, again: bool = True) -> bool:
        """Whether the request was answered."""
        used = self._session
        async with self._post(line, message) as response:
            if response.status_code == 404 and used.id is not None and again:
                await response.aread()
                if await self._renew(used):
                    return await self._exchange(line, message, again=False)
            if response.status_code >= 400:
                return await self._refused(response, message)
            if _method(message) == "initialize":
                self._session.id = response.headers.get("mcp-session-id")
            answered = False
            async for answer in messages(response):
                answered = self._note_answer(answer, message) or answered
                self._write(answer)
            return answered

    async def _refused(self, response: httpx.Response, message: Message) -> bool:
        """Write the error of an answer with an error status, under the request's id."""
        body = await response.aread()
        with contextlib.suppress(ValueError):
            answer = json.loads(body)
            if isinstance(answer, dict) and "jsonrpc" in answer and "error" in answer:
                # An error found before the id was read has none, and the client could not place it.
                self._write(json.dumps({**answer, "id": message["id"]}).encode())
                return True
        self._write_error(message["id"], _NO_ANSWER, error_message(response))
        return True

    def _note_answer(self, answer: bytes, message: Message) -> bool:
        """Whether `answer` is the answer to `message`, remembering what the transport needs of it."""
        if b'"result"' not in answer and b'"error"' not in answer:
            return False
        content = json.loads(answer)
        if content.get("id") != message["id"] or "method" in content:
            return False
        result = content.get("result")
        if isinstance(result, dict) and _method(message) == "initialize":
            self._session.version = result.get("protocolVersion")
        if isinstance(result, dict) and _method(message) == "tools/list":
            self._mirrored.learn(answer, result)
        return True

    async def _pass_on(self, line: bytes, message: Message) -> None:
        """A notification or an answer of the client: nothing comes back but perhaps a batch."""
        try:
            async with self._post(line, message) as response:
                if response.status_code < 400:
                    async for answer in messages(response):
                        self._write(answer)
        except httpx.HTTPError:
            return  # nobody waits for it; the next request tells what is wrong

    @contextlib.asynccontextmanager
    async def _post(self, line: bytes, message: Message) -> Any:
        """POST one message, waiting a little for a hub that is not there."""
        headers = self._headers(message)
        deadline = asyncio.get_running_loop().time() + _CONNECT_SECONDS
        while True:
            request = self._client.build_request("POST", self._url, content=line, headers=headers)
            try:
                response = await self._client.send(request, stream=True)
                break
            except httpx.ConnectError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_CONNECT_DELAY)
        try:
            yield response
        finally:
            await response.aclose()

    def _headers(self, message: Message) -> dict[str, str]:
        version = modern_version(message)
        if version is None and self._modern is not None and self._session.initialize is None:
            version = self._modern  # a notification of the stateless era
        if version is None:
            return {} if _method(message) == "initialize" else self._session.headers
        return modern_headers(message, version) | self._mirrored.headers(message)

    # ------------------------------------------------------------ sessions of the older era

    async def _listen(self) -> None:
        """Pass on what the hub says of its own accord, also after it was restarted."""
        delay = _LISTEN_DELAY
        while True:
            used = self._session
            try:
                async with self._client.stream("GET", self._url, headers=used.headers) as response:
                    if response.status_code == 200:
                        delay = _LISTEN_DELAY
                        async for message in messages(response):
                            self._write(message)
                    elif response.status_code == 404 and used.id is not None:
                        await self._renew(used)
                    elif response.status_code in (401, 403, 405):
                        return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_LISTEN_DELAY)

    async def _renew(self, lost: _Session) -> bool:
        """Open a new session in place of one that the hub does not know any more."""
        async with self._renewing:
            if self._session is not lost:
                return True
            if lost.initialize is None:
                return False
            async with self._post(lost.initialize, {"method": "initialize"}) as response:
                if response.status_code != 200:
                    return False
                answers = [json.loads(answer) async for answer in messages(response)]
                result = next((one["result"] for one in answers if "result" in one), None)
                if result is None:
                    return False
                session_id = response.headers.get("mcp-session-id")
            self._session = _Session(
                session_id, result.get("protocolVersion"), lost.initialize, lost.initialized
            )
            if lost.initialized is not None:
                await self._pass_on(lost.initialized, {})
            self._announce(result.get("capabilities") or {})
            return True

    def _announce(self, capabilities: Mapping[str, Any]) -> None:
        """After a restart the hub may have other tools: say so where the client was promised it."""
        for kind in ("tools", "resources", "prompts"):
            if (capabilities.get(kind) or {}).get("listChanged"):
                method = f"notifications/{kind}/list_changed"
                self._write(json.dumps({"jsonrpc": "2.0", "method": method}).encode())

    def _write_error(self, request_id: Any, code: int, text: str) -> None:
        error = {"code": code, "message": text}
        self._write(json.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}).encode())


class _Session:
    """What the older era's transport has to repeat with every message."""

    def __init__(
        self,
        session_id: str | None = None,
        version: str | None = None,
        initialize: bytes | None = None,
        initialized: bytes | None = None,
    ) -> None:
        self.id = session_id
        self.version = version
        self.initialize = initialize
        self.initialized = initialized

    @property
    def headers(self) -> dict[str, str]:
        fields = {"Mcp-Session-Id": self.id, "MCP-Protocol-Version": self.version}
        return {name: value for name, value in fields.items() if value is not None}


class _MirroredParameters:
    """Tool parameters that the stateless era repeats in headers, where a tool's schema asks for it."""

    def __init__(self) -> None:
        self._maps: dict[str, dict[tuple[str, ...], str]] = {}

    def learn(self, answer: bytes, result: Mapping[str, Any]) -> None:
        """Look at a list of tools that passes by."""
        if b"x-mcp-header" not in answer:
            return
        from mcp.shared.inbound import x_mcp_header_map

        for tool in result.get("tools") or ():
            self._maps[tool["name"]] = x_mcp_header_map(tool.get("inputSchema"))

    def headers(self, message: Message) -> dict[str, str]:
        wanted = self._maps.get(str(_params(message).get("name")))
        if not wanted or _method(message) != "tools/call":
            return {}
        from mcp.shared.inbound import mcp_param_headers

        return mcp_param_headers(wanted, _params(message).get("arguments") or {})


def _method(message: Message) -> str | None:
    method = message.get("method")
    return method if isinstance(method, str) else None


def _params(message: Message) -> Mapping[str, Any]:
    params = message.get("params")
    return params if isinstance(params, dict) else {}
