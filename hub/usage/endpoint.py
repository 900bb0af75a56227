"""`GET /hub/v1/usage`: what `hub usage` shows, of the running hub."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hub.usage.moments import moment

if TYPE_CHECKING:
    from hub.usage.report import Filter

FILTERS = ("group", "model", "provider", "key", "client")


def usage_route(url: Callable[[], str]) -> Route:
    """`url` gives the database's address with its password."""

    async def usage(request: Request) -> Response:
        """`by`, `since`, `until` and the filters as `hub usage` has them. 400 for what cannot be understood,
        503 where the database cannot be read."""
        from hub.usage import report as reports

        by = next((name for name in reports.BY if name == request.query_params.get("by", "day")), None)
        try:
            chosen = filter_of(request.query_params)
        except ValueError as error:
            return _error(400, str(error))
        if by is None:
            return _error(400, f"`by` is one of: {', '.join(reports.BY)}")
        try:
            found = await asyncio.to_thread(reports.report, url(), by, chosen)
        except reports.UsageError as error:
            return _error(503, str(error))
        return JSONResponse(found.plain())

    return Route("/hub/v1/usage", usage, methods=["GET"])


def filter_of(words: Mapping[str, str]) -> Filter:
    """The calls that `since`, `until` and the names in `words` choose. Raises ValueError."""
    from hub.usage.report import Filter

    now = time.time()
    since, until = words.get("since") or "30d", words.get("until")
    return Filter(
        moment(since, now),
        moment(until, now) if until else now,
        **{name: words[name] for name in FILTERS if words.get(name) is not None},
    )


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message}}, status_code=status)
