"""Each request has an id, and each answer says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hub.inside.harness import by_model, serving, settings
from tests.routing.scripted_upstream import scripted

PLACES = {
    "chat": ("POST", "/g/v1/chat/completions", 200),
    "a chat that is no JSON": ("POST", "/g/v1/messages", 400),
    "no such group": ("POST", "/no/v1/chat/completions", 404),
    "no such path": ("POST", "/nothing/here/at/all", 404),
    "a wrong method": ("DELETE", "/v1/messages", 405),
    "models": ("GET", "/v1/models", 200),
    "control": ("GET", "/hub/v1/status", 200),
    "no such control": ("GET", "/hub/v1/no", 404),
    "metrics": ("GET", "/metrics", 200),
    "health": ("GET", "/healthz", 200),
    "mcp": ("GET", "/mcp", 400),
    "no such mcp": ("POST", "/mcp/no", 404),
    "a wrong host": ("GET", "/v1/models", 403),
}
BODY = b'{"model": "x", "messages": [{"role": "user", "content": "hi"}]}'


async def test_every_answer_has_an_id_of_its_own(tmp_path: Path) -> None:
    async with scripted(by_model()) as upstream, serving(tmp_path, settings(upstream.url)) as hub:
        ids = []
        for name, (method, path, status) in PLACES.items():
            headers = {"host": "evil.example"} if name == "a wrong host" else {}
            content = b"no JSON" if "JSON" in name else BODY
            answer = await hub.client.request(method, hub.url + path, content=content, headers=headers)
            assert answer.status_code == status, (name, answer.text)
            assert len(answer.headers.get_list("x-request-id")) == 1, name
            ids.append(answer.headers["x-request-id"])
            again = await hub.client.request(
                method, hub.url + path, content=content, headers={**headers, "x-request-id": "client-chose-1"}
            )
            assert again.headers.get_list("x-request-id") == ["client-chose-1"], name
    assert len(set(ids)) == len(PLACES)
    assert all(len(id_) == 24 for id_ in ids)


WRONG = ("", "short", "x" * 65, "with space 123", "line\tbreak-123", '"quoted-1234"',
         "-begins-wrong", "uml\xe4ut-12345", "a/../../b")  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_not_made_like_an_id_is_passed_over(tmp_path: Path, wrong: str) -> None:
    async with serving(tmp_path, {}) as hub:
        headers = [(b"x-request-id", wrong.encode("latin-1"))]
        answer = await hub.client.get(f"{hub.url}/healthz", headers=headers)
        assert answer.headers["x-request-id"] != wrong
        assert len(answer.headers["x-request-id"]) == 24


async def test_the_id_stays_behind(tmp_path: Path) -> None:
    """It is the hub's business: no upstream is sent it."""
    async with scripted(by_model()) as upstream, serving(tmp_path, settings(upstream.url)) as hub:
        await hub.chat(
            headers={
                "x-request-id": "client-chose-1",
                "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
            }
        )
        assert not {"x-request-id", "traceparent"} & set(upstream.requests[0].headers)  # fmt: skip
