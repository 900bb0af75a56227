"""The file of keys: hashed, private, whole at every moment, and seen by a running hub at once."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.keys.ring import KeyRing
from hub.keys.store import NOTHING, KeyFile, StoredKey, StoreError, change, digest_of, new_key, now, read
from hub.settings.keys import KeySettings


def entry(secret: str = "hub_x") -> StoredKey:
    return StoredKey(hash=digest_of(secret), created=now())


def put(path: Path, name: str, key: StoredKey | None = None) -> None:
    change(path, lambda keys: keys.update({name: key or entry()}))


def test_a_key_is_recognisable_and_long() -> None:
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000
    for key in keys:
        assert re.fullmatch(r"hub_[A-Za-z0-9_-]{32}", key)  # 192 bits


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    whole = StoredKey(
        hash=digest_of("a"),
        created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        groups=("a",),
        profiles=(),
        servers=("s",),
        tools=("t_*",),
        budget="10/day",
        rpm=1,
        tpm=2,
        concurrency=3,
        expires=datetime(2030, 1, 1, tzinfo=UTC),
    )
    put(path, "Anna Ä", whole)
    stored = read(path)
    assert (dict(stored.keys), stored.exists) == ({"Anna Ä": whole}, True)


def test_no_file_is_no_keys(tmp_path: Path) -> None:
    assert read(tmp_path / "none") is NOTHING
    assert not NOTHING.exists


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
def test_below_a_file_there_are_no_keys(tmp_path: Path) -> None:
    """A home that is a file must not lock everybody out: no key could be made there."""
    (tmp_path / "home").write_text("")
    path = tmp_path / "home" / "state" / "keys.json"
    assert read(path) == NOTHING
    assert not KeyFile().current(path).exists


def test_the_file_is_private_and_has_no_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old = os.umask(0)
    try:
        put(path, "a", entry("hub_very-secret"))
    finally:
        os.umask(old)
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
    assert "very-secret" not in path.read_text()


def test_nothing_else_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    for name in "abc":
        put(path, name)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["keys.json", "keys.json.lock"]


def test_an_edit_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    put(path, "a")
    before = path.read_bytes()

    def edit(keys: dict[str, StoredKey]) -> None:
        keys.clear()
        raise LookupError

    with pytest.raises(LookupError):
        change(path, edit)
    assert path.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "keys.json"
    put(real, "a")
    link.symlink_to(real)
    put(link, "b")
    assert link.is_symlink()
    assert set(read(real).keys) == {"a", "b"}


def test_commands_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    script = (
        "import sys; from pathlib import Path; from tests.hub.keys.test_store import put\n"
        "for number in range(10): put(Path(sys.argv[1]), f'{sys.argv[2]}-{number}')"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(path), name]) for name in "abc"]
    assert [one.wait(60) for one in running] == [0, 0, 0]
    assert set(read(path).keys) == {f"{name}-{number}" for name in "abc" for number in range(10)}


DAMAGED = {
    "empty": "",
    "no JSON": "{",
    "another thing": "[]",
    "no keys": '{"version": 1}',
    "a newer format": '{"version": 2, "keys": {}}',
    "a plain key": '{"version": 1, "keys": {"a": {"created": "2026-01-01T00:00:00Z"}}}',
    "unknown field": json.dumps(
        {"version": 1, "keys": {"a": {"hash": digest_of("x"), "created": "2026-01-01T00:00:00Z", "rmp": 1}}}
    ),
    "no text": "\udcff",
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_told_and_never_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError, match=re.escape(str(path))):
        read(path)
    with pytest.raises(StoreError):
        put(path, "b")
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_a_running_hub_sees_every_change(tmp_path: Path) -> None:
    path, file = tmp_path / "keys.json", KeyFile()
    assert file.current(path) == NOTHING
    for name in "abc":
        put(path, name)
        stored = file.current(path)
        assert name in stored.keys
        assert file.current(path) is stored
    change(path, lambda keys: keys.pop("b"))
    assert set(file.current(path).keys) == {"a", "c"}
    path.unlink()
    assert file.current(path) == NOTHING


def test_a_file_that_breaks_leaves_the_keys_of_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, file = tmp_path / "keys.json", KeyFile()
    put(path, "a")
    before = file.current(path)
    path.write_text("{")
    assert file.current(path) is before
    assert file.current(path) is before
    assert len(caplog.records) == 1
    path.unlink()
    put(path, "b")
    assert set(file.current(path).keys) == {"b"}


def test_a_file_that_is_broken_from_the_start_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{")
    stored = KeyFile().current(path)
    assert (dict(stored.keys), stored.exists) == ({}, True)
    assert KeyRing({}, stored).is_needed


def test_another_path_is_another_file(tmp_path: Path) -> None:
    file = KeyFile()
    put(tmp_path / "one", "a")
    put(tmp_path / "two", "b")
    assert set(file.current(tmp_path / "one").keys) == {"a"}
    assert set(file.current(tmp_path / "two").keys) == {"b"}
    (tmp_path / "three").write_text("{")
    assert not file.current(tmp_path / "three").keys


# ---------------------------------------------------------------- the ring


def test_keys_of_both_places_are_found(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    put(path, "stored", entry("hub_stored"))
    written = {
        "plain": KeySettings.model_validate({"key": " k-plain "}),
        "hashed": KeySettings.model_validate({"hash": digest_of("k-hashed").upper().replace("SHA", "sha")}),
    }
    ring = KeyRing(written, read(path))
    found = {
        key: grant and grant.caller.name
        for key in ("hub_stored", "k-plain", "k-hashed", "k-Plain", "", digest_of("hub_stored"))
        for grant in [ring.find([key.encode()])]
    }
    assert found == {
        "hub_stored": "stored",
        "k-plain": "plain",
        "k-hashed": "hashed",
        "k-Plain": None,
        "": None,
        digest_of("hub_stored"): None,
    }


def test_a_name_in_both_places_is_the_settings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys.json"
    put(path, "me", entry("hub_stored"))
    ring = KeyRing({"me": KeySettings.model_validate({"key": "k-written", "groups": ["a"]})}, read(path))
    assert ring.find([b"hub_stored"]) is None
    grant = ring.find([b"k-written"])
    assert grant is not None
    assert grant.caller.groups == {"a"}
    assert "me" in caplog.text
