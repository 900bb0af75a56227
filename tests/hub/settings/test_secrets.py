"""`${keyring:NAME}` and `${file:PATH}` in settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backends import fail

from hub.scrub import scrubber_of
from hub.secret_store import SecretStore
from hub.settings import LoadedSettings, SettingsError, load_settings

VALUE = "the-value-of-it"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


def loaded(folder: Path, reference: str) -> LoadedSettings:
    path = folder / "hub.yaml"
    path.write_text(
        "mcpServers:\n  docs:\n    url: https://example.com/mcp\n    headers:\n"
        f"      X-Plain: 'a {reference} b'\n"
    )
    return load_settings(path, environ={})


def header(found: LoadedSettings) -> str:
    return found.settings.mcp_servers["docs"].headers["X-Plain"].get_secret_value()


def problem(folder: Path, reference: str) -> str:
    with pytest.raises(SettingsError) as error:
        loaded(folder, reference)
    (only,) = error.value.problems
    assert VALUE not in str(only)
    return str(only)


def test_of_the_store(tmp_path: Path) -> None:
    SecretStore().write("docs", VALUE)
    found = loaded(tmp_path, "${keyring:docs}")
    assert header(found) == f"a {VALUE} b"
    assert SecretStore().path in found.files


def test_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{VALUE}\n")
    for reference in ("${file:secret}", "${file:./secret}", f"${{file:{tmp_path}/secret}}"):
        found = loaded(tmp_path, reference)
        assert header(found) == f"a {VALUE} b"
        assert tmp_path / "secret" in found.files


def test_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "secret").write_text(VALUE)
    assert header(loaded(tmp_path, "${file:~/secret}")) == f"a {VALUE} b"


@pytest.mark.parametrize("reference", ["${keyring:docs}", "${file:secret}"])
def test_they_are_kept_out_of_what_is_written_down(tmp_path: Path, reference: str) -> None:
    SecretStore().write("docs", VALUE)
    (tmp_path / "secret").write_text(VALUE)
    found = loaded(tmp_path, reference)
    assert VALUE not in scrubber_of(found).text(f"it said {VALUE}.")
    assert VALUE not in repr(found)


def test_an_escape_stays_as_it_is(tmp_path: Path) -> None:
    assert (
        header(loaded(tmp_path, "$${file:secret} $${keyring:docs}")) == "a ${file:secret} ${keyring:docs} b"
    )


CASES: list[tuple[str, str, Any]] = [
    ("${keyring:docs}", "there is no secret 'docs'", None),
    ("${file:secret}", "No such file", None),
    ("${file:secret}", "larger than 64 KiB", VALUE.encode() * 10_000),
    ("${file:secret}", "is not UTF-8", VALUE.encode() + b"\xff\xfe"),
    ("${file:.}", "Is a directory", None),
]


@pytest.mark.parametrize(("reference", "told", "content"), CASES)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, reference: str, told: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    text = problem(tmp_path, reference)
    assert told in text
    assert "mcpServers.docs.headers.X-Plain" in text
    if reference.startswith("${file:s"):
        assert str(tmp_path / "secret") in text


def test_a_missing_file_is_watched_for(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        loaded(tmp_path, "${file:later}")
    assert tmp_path / "later" in error.value.files


LOGINS: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({"auth": "oauth"}, {}),
    (
        {"auth": {"client_id": "a", "client_secret": "b", "scopes": "r w"}},
        {"client_id": "a", "scopes": ("r", "w")},
    ),
    (
        {"auth": {"CLIENT_ID": "a", "CLIENT_SECRET": "b", "scopes": ["r"]}},
        {"client_id": "a", "scopes": ("r",)},
    ),
    ({"oauth": {"clientId": "a", "callbackPort": 8976}}, {"client_id": "a", "redirect_port": 8976}),
    ({"oauth": {"enabled": "true", "scope": "r w"}}, {"scopes": ("r", "w")}),
    ({"oauth": "false"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("written", "read"), LOGINS)
def test_how_to_log_in_as_ides_write_it(
    tmp_path: Path, written: dict[str, Any], read: dict[str, Any] | None
) -> None:
    path = tmp_path / "hub.yaml"
    path.write_text(json.dumps({"mcpServers": {"docs": {"url": "https://example.com/mcp", **written}}}))
    auth = load_settings(path, environ={}).settings.mcp_servers["docs"].auth
    if read is None:
        assert auth is None
    else:
        assert auth is not None
        assert auth.model_dump(exclude_defaults=True, exclude={"client_secret"}) == read


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"command": "x", "auth": "oauth"}, "`auth` is for servers with a `url`"),
        ({"auth": "oauth", "headers": {"authorization": "x"}}, "keep one"),
        ({"auth": {"client_secret": "x"}}, "needs its `client_id`"),
        ({"auth": {"client_metadata_url": "http://example.com/x"}}, "must be an https address"),
        ({"auth": {"client_id": "x", "client_metadata_url": "https://example.com/x"}}, "give either"),
        ({"auth": "basic"}, "auth"),
    ],
)
def test_logins_that_cannot_be(tmp_path: Path, entry: dict[str, Any], told: str) -> None:
    path = tmp_path / "hub.yaml"
    url = {} if "command" in entry else {"url": "https://example.com/mcp"}
    path.write_text(json.dumps({"mcpServers": {"docs": {**url, **entry}}}))
    with pytest.raises(SettingsError) as error:
        load_settings(path, environ={})
    assert told in str(error.value.problems[0])
