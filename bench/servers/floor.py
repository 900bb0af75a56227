"""The floor: bare Starlette and aiohttp's client, forwarding bytes and nothing else."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

UPSTREAM = sys.argv[2] if len(sys.argv) > 2 else ""


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        app.state.session = session
        yield


async def forward(request: Request) -> Response:
    body = await request.body()
    url = f"{UPSTREAM}/v1/chat/completions"
    headers = {"content-type": "application/json", "authorization": "Bearer upstream"}
    answer = await request.app.state.session.post(url, data=body, headers=headers)
    kind = answer.headers["content-type"]
    if kind.startswith("text/event-stream"):
        return StreamingResponse(answer.content.iter_any(), media_type=kind)
    return Response(await answer.read(), media_type=kind)


app = Starlette(routes=[Route("/bench/v1/chat/completions", forward, methods=["POST"])], lifespan=lifespan)

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
