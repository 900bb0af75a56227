"""`hub login`, `hub logout` and `hub secret`, with a running hub and a real authorization server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import HTTPRedirectHandler, build_opener

import pytest

from tests.hub.cli.conftest import Cli, serving
from tests.hub.oauth.authorization_server import Protected, protected_server

pytestmark = pytest.mark.timeout(120)
NO_KEYRING = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
BROWSER = f"{sys.executable} -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()' %s"


@pytest.fixture
def cli(cli: Cli) -> Cli:
    cli.extra |= NO_KEYRING
    return cli


def state(cli: Cli, port: str) -> tuple[str, str]:
    (server,) = cli("status", "--port", port, "--json").json["servers"]
    return server["state"], server["reason"] or ""


def until_state(cli: Cli, port: str, wanted: str) -> None:
    deadline = time.monotonic() + 20
    while (found := state(cli, port))[0] != wanted:
        assert time.monotonic() < deadline, found


def log_in_by_pasting(cli: Cli) -> str:
    """As on a machine without a browser; gives back all that was printed."""
    with cli.start(
        *("login", "docs", "--no-browser"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        said = [process.stdout.readline(), process.stdout.readline()]
        process.stdin.write("http://127.0.0.1/callback?code=stolen&state=guessed\n")
        process.stdin.write(where_it_leads(said[1].strip()) + "\n")
        process.stdin.flush()
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "is not the answer to this login" in err
        return "".join((*said, out, err))


def where_it_leads(url: str) -> str:
    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        build_opener(Stay).open(url)
    except OSError as answer:  # a redirect that is not followed
        return str(answer.headers["location"])  # type: ignore[attr-defined]
    raise AssertionError("the authorization server did not redirect")


async def test_from_needing_a_login_to_logged_out(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"

    def story(protected: Protected) -> list[str]:
        said = []
        cli.write({"mcpServers": {"docs": {"url": protected.mcp}}, "server": {"log_level": "debug"}})
        with log.open("w") as errors, serving(cli, errors=errors.fileno()) as hub:
            until_state(cli, hub.port, "needs login")
            assert state(cli, hub.port)[1] == "run `hub login docs`"
            refused = cli("call", "docs_hello", "--port", hub.port)
            assert refused.status == 1
            assert "hub login docs" in refused.err
            said += [refused.err, log_in_by_pasting(cli)]
            until_state(cli, hub.port, "ready")
            assert cli("call", "docs_hello", "--port", hub.port).out.strip() == "hello"
            said.append(cli("status", "--port", hub.port).out)
            out = cli("logout", "docs")
            assert out.out == "docs: logged out, and the token was taken back\n"
            until_state(cli, hub.port, "needs login")
            assert cli("logout", "docs").error() == "docs: nobody was logged in"
        return said

    async with protected_server() as protected:
        said = await asyncio.to_thread(story, protected)
        assert protected.does.tokens_seen
        for text in (*said, log.read_text()):
            assert not [token for token in protected.does.tokens_seen if token in text], text


async def test_with_a_browser(cli: Cli) -> None:
    cli.extra["BROWSER"] = BROWSER

    async with protected_server() as protected:
        cli.write({"mcpServers": {"docs": {"url": protected.mcp, "auth": "oauth"}}})
        done = await asyncio.to_thread(cli, "login", "docs")
        assert done.status == 0, done.err
        assert done.out.splitlines()[-1] == "docs: logged in for read"
        assert "the token is kept encrypted in" in done.err


async def test_a_login_that_is_refused(cli: Cli) -> None:
    cli.extra["BROWSER"] = BROWSER
    async with protected_server(deny=True) as protected:
        cli.write({"mcpServers": {"docs": {"url": protected.mcp}}})
        done = await asyncio.to_thread(cli, "login", "docs")
        assert done.status == 1
        assert done.error() == "docs: the authorization server said no: access_denied: not today"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"command": "x"}, "is a program on this machine"),
        (
            {"url": "https://example.com/mcp", "headers": {"authorization": "x"}},
            "credential in its `headers`",
        ),
        ({"url": "http://mcp.example.com/mcp"}, "has to be https"),
        ({"url": "http://127.0.0.1:1/mcp"}, "does not answer"),
    ],
    ids=("a program", "with a header", "plain http", "nobody there"),
)
def test_where_no_login_can_be(cli: Cli, entry: dict[str, object], told: str) -> None:
    cli.write({"mcpServers": {"docs": entry}})
    done = cli("login", "docs")
    assert done.status == 1
    assert told in done.error()


def test_an_unknown_server(cli: Cli) -> None:
    cli.write({"mcpServers": {"docs": {"url": "https://example.com/mcp"}}})
    done = cli("login", "dosc")
    assert done.status == 2
    assert "did you mean docs" in done.error()


def test_secrets_from_beginning_to_end(cli: Cli) -> None:
    value = "the-value-of-it"
    done = cli("secret", "set", "docs-token", stdin=f"{value}\n")
    assert done.status == 0, done.err
    assert "${keyring:docs-token}" in done.out
    assert cli("secret", "list").rows == [["docs-token", "file"]]
    assert cli("secret", "list", "--json").json == [{"name": "docs-token", "kept_in": "file"}]
    cli.write({"keys": {"me": "${keyring:docs-token}"}})
    assert cli("check").status == 0
    stored = "".join(path.read_text() for path in (cli.folder / "home").rglob("*") if path.is_file())
    assert value not in stored
    assert cli("secret", "delete", "docs-token").status == 0
    again = cli("secret", "delete", "docs-token")
    assert (again.status, again.error()) == (1, "there is no secret `docs-token`")
    checked = cli("check")
    assert checked.status == 1
    assert "hub secret set docs-token" in checked.out + checked.err


@pytest.mark.parametrize(("name", "value"), [("a b", "x"), ("-x", "x"), ("ok", "")])
def test_secrets_that_cannot_be(cli: Cli, name: str, value: str) -> None:
    assert cli("secret", "set", name, stdin=value).status == 2


def test_a_running_hub_follows_secrets_and_files(cli: Cli, tmp_path: Path) -> None:
    cli("secret", "set", "one", stdin="first-key-of-all")
    (tmp_path / "two.txt").write_text("second-key-of-all\n")
    settings = {"keys": {"one": "${keyring:one}", "two": "${file:two.txt}"}}
    cli.write(settings)

    def opens(port: str, key: str) -> bool:
        return cli("status", "--port", port, "--key", key).status == 0

    def until_opens(port: str, key: str) -> None:
        deadline = time.monotonic() + 20
        while not opens(port, key):
            assert time.monotonic() < deadline

    with serving(cli) as hub:
        assert opens(hub.port, "first-key-of-all")
        assert opens(hub.port, "second-key-of-all")
        cli("secret", "set", "one", stdin="third-key-of-all")
        until_opens(hub.port, "third-key-of-all")
        assert not opens(hub.port, "first-key-of-all")
        (tmp_path / "two.txt").write_text("fourth-key-of-all\n")
        until_opens(hub.port, "fourth-key-of-all")
        assert not opens(hub.port, "second-key-of-all")
