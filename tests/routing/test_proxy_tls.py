"""The way to a provider: through its own proxy, with its own certificates. Real sockets and real TLS."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from routing.table import Timeouts, Tls
from routing.tls import UnusableTls, tls_context
from tests.routing.certificates import Authority, Identity
from tests.routing.connect_proxy import proxying
from tests.routing.samples import SAMPLES, error_message
from tests.routing.scripted_upstream import answers, scripted, streams
from tests.routing.serving import Served, serving, simple_table

pytestmark = pytest.mark.usefixtures("upstream_client")

CHAT = SAMPLES["openai"]
GOOD = answers(CHAT.answer)
SECRET = "proxy-pass/word-0123"
QUOTED = "proxy-pass%2Fword-0123"


@dataclass(frozen=True)
class Files:
    authority: Authority
    stranger: Authority
    server: Identity
    client: Identity
    strange_client: Identity


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("certificates")
    ours, stranger = Authority(folder, "ours"), Authority(folder, "stranger")
    return Files(ours, stranger, ours.identity("server"), ours.identity("me"), stranger.identity("other"))


async def ask(hub: Served, *, stream: bool = False) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        body = CHAT.stream_body if stream else CHAT.body
        return await client.post(hub.url + CHAT.path, json=body)


# ---------------------------------------------------------------- TLS


async def test_a_provider_with_a_certificate_of_ones_own_authority(files: Files) -> None:
    tls = Tls(ca_file=str(files.authority.file))
    async with (
        scripted(GOOD, tls=files.authority.server(files.server)) as upstream,
        serving(simple_table("openai", upstream.url, tls=tls)) as hub,
    ):
        for _ in range(3):
            assert (await ask(hub)).json() == CHAT.answer
        upstream.script = streams(*CHAT.stream)
        assert (await ask(hub, stream=True)).content == b"".join(CHAT.stream)
    assert (len(upstream.requests), upstream.sockets) == (4, 1)


async def test_two_providers_at_one_address_share_no_connection(files: Files) -> None:
    """One trusts the certificate, the other one must not come in on its connection."""
    trusting = Tls(ca_file=str(files.authority.file))
    async with (
        scripted(GOOD, tls=files.authority.server(files.server)) as upstream,
        serving(simple_table("openai", upstream.url, tls=trusting)) as hub,
    ):
        assert (await ask(hub)).status_code == 200
        hub.table = simple_table("openai", upstream.url)
        assert (await ask(hub)).status_code == 502
        hub.table = simple_table("openai", upstream.url, tls=trusting)
        assert (await ask(hub)).status_code == 200
    assert len(upstream.requests) == 2


async def test_whom_the_system_does_not_trust(files: Files) -> None:
    async with (
        scripted(GOOD, tls=files.authority.server(files.server)) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
    ):
        answer = await ask(hub)
    assert answer.status_code == 502
    assert "its TLS certificate is not trusted" in error_message(CHAT, answer.json())
    assert upstream.requests == []


async def test_a_certificate_for_another_host(files: Files) -> None:
    elsewhere = files.authority.identity("elsewhere", host="127.0.0.2")
    tls = Tls(ca_file=str(files.authority.file))
    async with (
        scripted(GOOD, tls=files.authority.server(elsewhere)) as upstream,
        serving(simple_table("openai", upstream.url, tls=tls)) as hub,
    ):
        answer = await ask(hub)
    assert "its TLS certificate is not trusted" in error_message(CHAT, answer.json())


async def test_an_expired_certificate(files: Files) -> None:
    old = files.authority.identity("old", days=-1)
    tls = Tls(ca_file=str(files.authority.file))
    async with (
        scripted(GOOD, tls=files.authority.server(old)) as upstream,
        serving(simple_table("openai", upstream.url, tls=tls)) as hub,
    ):
        answer = await ask(hub)
    assert "its TLS certificate is not trusted" in error_message(CHAT, answer.json())


async def test_any_certificate_where_none_is_checked(files: Files) -> None:
    async with (
        scripted(GOOD, tls=files.authority.server(files.server)) as upstream,
        serving(simple_table("openai", upstream.url, tls=Tls(verify=False))) as hub,
    ):
        assert (await ask(hub)).status_code == 200


@pytest.mark.parametrize("in_one_file", [True, False])
async def test_a_provider_that_asks_for_a_certificate(files: Files, in_one_file: bool) -> None:
    mine = (files.client.file, None) if in_one_file else (files.client.certificate, str(files.client.key))
    tls = Tls(ca_file=str(files.authority.file), certificate=str(mine[0]), key=mine[1])
    async with (
        scripted(GOOD, tls=files.authority.server(files.server, asks=True)) as upstream,
        serving(simple_table("openai", upstream.url, tls=tls)) as hub,
    ):
        assert (await ask(hub)).status_code == 200


@pytest.mark.parametrize("strange", [True, False])
async def test_a_client_certificate_that_is_not_taken(files: Files, strange: bool) -> None:
    shown = str(files.strange_client.file) if strange else None
    tls = Tls(ca_file=str(files.authority.file), certificate=shown)
    async with (
        scripted(GOOD, tls=files.authority.server(files.server, asks=True)) as upstream,
        serving(simple_table("openai", upstream.url, tls=tls)) as hub,
    ):
        answer = await ask(hub)
    assert answer.status_code == 502
    error_message(CHAT, answer.json())
    assert upstream.requests == []


async def test_http_where_tls_is_expected() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with serving(simple_table("openai", url)) as hub:
        answer = await ask(hub)
    server.close()
    assert answer.status_code == 502
    assert "TLS handshake failed" in error_message(CHAT, answer.json())


async def test_tls_where_http_is_expected(files: Files) -> None:
    async with (
        scripted(GOOD, tls=files.authority.server(files.server)) as upstream,
        serving(simple_table("openai", upstream.url.replace("https:", "http:"))) as hub,
    ):
        answer = await ask(hub)
    assert answer.status_code == 502


def test_files_that_cannot_be_used(files: Files, tmp_path: Path) -> None:
    page = tmp_path / "page.pem"
    page.write_text("<html>")
    ours = str(files.client.certificate)
    wrong = {
        "ca_file": [Tls(ca_file=str(page)), Tls(ca_file=str(tmp_path / "none.pem"))],
        "certificate": [
            Tls(certificate=str(page)),
            Tls(certificate=ours),  # without its key
            Tls(certificate=ours, key=str(files.strange_client.key)),
        ],
    }
    for option, each in wrong.items():
        for tls in each:
            with pytest.raises(UnusableTls) as caught:
                tls_context(tls)
            assert caught.value.option == option
            assert str(getattr(tls, option)) in str(caught.value)


async def test_a_file_that_vanished_is_the_providers_fault_alone(files: Files, tmp_path: Path) -> None:
    tls = Tls(ca_file=str(tmp_path / "gone.pem"))
    async with serving(simple_table("openai", "https://127.0.0.1:9", tls=tls)) as hub:
        answer = await ask(hub)
    assert answer.status_code == 502
    assert "CA file" in error_message(CHAT, answer.json())


async def test_a_file_that_was_replaced_is_read_again(files: Files, tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(files.stranger.file.read_bytes())
    async with (
        scripted(GOOD, tls=files.authority.server(files.server)) as upstream,
        serving(simple_table("openai", upstream.url, tls=Tls(ca_file=str(trusted)))) as hub,
    ):
        assert (await ask(hub)).status_code == 502
        trusted.write_bytes(files.authority.file.read_bytes())
        assert (await ask(hub)).status_code == 200


# ---------------------------------------------------------------- proxies


@pytest.mark.parametrize("secure", [True, False])
async def test_through_a_proxy(files: Files, secure: bool) -> None:
    tls = Tls(ca_file=str(files.authority.file))
    async with (
        proxying() as proxy,
        scripted(GOOD, tls=files.authority.server(files.server) if secure else None) as upstream,
        serving(simple_table("openai", upstream.url, tls=tls, proxy=proxy.url)) as hub,
    ):
        assert (await ask(hub)).json() == CHAT.answer
        upstream.script = streams(*CHAT.stream)
        assert (await ask(hub, stream=True)).content == b"".join(CHAT.stream)
    wanted = "CONNECT " + upstream.url.removeprefix("https://") if secure else f"POST {upstream.url}/v1/"
    assert proxy.asked
    assert all(line.startswith(wanted) for line in proxy.asked)


async def test_a_proxy_that_asks_who_we_are(files: Files) -> None:
    tls = Tls(ca_file=str(files.authority.file))
    async with (
        proxying(user=f"me:{SECRET}") as proxy,
        scripted(GOOD, tls=files.authority.server(files.server)) as upstream,
        serving(
            simple_table("openai", upstream.url, tls=tls, proxy=proxy.url.replace("//", f"//me:{QUOTED}@"))
        ) as hub,
    ):
        assert (await ask(hub)).status_code == 200


REFUSING = {
    407: "user and password",
    403: "refused the connection (403)",
    502: "refused the connection (502)",
}


@pytest.mark.parametrize("status", REFUSING)
async def test_a_proxy_that_refuses(files: Files, status: int, caplog: pytest.LogCaptureFixture) -> None:
    tls = Tls(ca_file=str(files.authority.file))
    async with (
        proxying(status=status) as proxy,
        scripted(GOOD, tls=files.authority.server(files.server)) as upstream,
        serving(
            simple_table("openai", upstream.url, tls=tls, proxy=proxy.url.replace("//", f"//me:{QUOTED}@"))
        ) as hub,
    ):
        with caplog.at_level(logging.DEBUG):
            answer = await ask(hub)
    assert answer.status_code == 502
    assert REFUSING[status] in error_message(CHAT, answer.json())
    for text in (answer.text, caplog.text, repr(hub.records), repr(hub.table)):
        assert SECRET not in text
        assert QUOTED not in text


async def test_a_proxy_that_is_not_there() -> None:
    async with proxying() as gone:
        pass
    async with (
        scripted(GOOD) as upstream,
        serving(simple_table("openai", upstream.url, proxy=gone.url)) as hub,
    ):
        answer = await ask(hub)
    assert "no connection to its proxy" in error_message(CHAT, answer.json())
    assert upstream.requests == []


async def test_a_proxy_that_says_nothing(files: Files) -> None:
    async def silent(_: object, connection: object) -> None:
        await connection.gone.wait()  # type: ignore[attr-defined]

    async with (
        scripted(silent) as proxy,
        serving(
            simple_table("openai", "https://127.0.0.1:9", proxy=proxy.url, timeouts=Timeouts(first_byte=0.2))
        ) as hub,
    ):
        answer = await ask(hub)
    assert answer.status_code == 504


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with (
        scripted(GOOD) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        answer = await client.post(hub.url + CHAT.path, json=CHAT.body)
    assert answer.status_code == 200
