"""A model that speaks slowly: each stream gets a chunk at even times, with the time at which it left."""

from __future__ import annotations

import asyncio
import json
import sys
import time

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "bench"}
MARK = "sent:"


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    data = b"data: " + json.dumps({**_CHUNK, "choices": [choice]}).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


_DONE = _event({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The key says how many chunks, and how many seconds apart: `120-0.5`."""
    try:
        while head := await _head(reader):
            await reader.readexactly(int(head["content-length"]))
            chunks, pause = head["authorization"].removeprefix("Bearer ").split("-")
            await _stream(writer, int(chunks), float(pause))
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _head(reader: asyncio.StreamReader) -> dict[str, str]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.lower(): value.strip() for name, _, value in pairs}


async def _stream(writer: asyncio.StreamWriter, chunks: int, pause: float) -> None:
    writer.write(_HEAD + _event({"role": "assistant", "content": ""}))
    loop = asyncio.get_running_loop()
    due = loop.time()
    for _ in range(chunks):
        due += pause
        await asyncio.sleep(max(0.0, due - loop.time()))
        # One clock for all processes of the machine.
        writer.write(_event({"content": f"{MARK}{time.monotonic():.6f} "}))
        await writer.drain()
    writer.write(_DONE)
    await writer.drain()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
