"""Secrets in a keyring, or encrypted in a file where there is none."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from hub.secret_store import SecretStore, SecretStoreError, system_keyring
from hub.secret_store.cipher import key_file
from tests.hub.secret_store.conftest import MemoryKeyring

VALUE = "a-value-that-nobody-sees"


def test_in_the_keyring_the_file_has_names_alone(memory_keyring: MemoryKeyring) -> None:
    store = SecretStore()
    assert store.write("token", VALUE) == "keyring"
    assert SecretStore().read("token") == VALUE
    assert store.places() == {"token": "keyring"}
    assert VALUE not in store.path.read_text()
    assert memory_keyring.entries == {("ccproxy-hub", "token"): VALUE}
    assert not key_file().exists()


def test_without_a_keyring_the_value_is_encrypted_in_a_private_file() -> None:
    store = SecretStore()
    assert store.write("token", VALUE) == "file"
    assert SecretStore().read("token") == VALUE
    assert VALUE not in store.path.read_text()
    for path in (store.path, key_file()):
        assert path.stat().st_mode & 0o077 == 0
    assert key_file().parent != store.path.parent


def test_what_a_keyring_refuses_goes_into_the_file(memory_keyring: MemoryKeyring) -> None:
    store = SecretStore()
    long = "x" * 2000
    assert store.write("token", long) == "file"
    assert store.read("token") == long
    assert store.write("token", VALUE) == "keyring"
    assert store.read("token") == VALUE


def test_what_others_put_into_the_keyring_is_found(memory_keyring: MemoryKeyring) -> None:
    memory_keyring.entries["ccproxy-hub", "theirs"] = VALUE
    assert SecretStore().read("theirs") == VALUE
    assert SecretStore().delete("theirs")
    assert SecretStore().read("theirs") is None


def test_deleting_says_whether_there_was_something() -> None:
    store = SecretStore()
    store.write("one", VALUE)
    store.write("two", VALUE)
    assert store.delete("one")
    assert not store.delete("one")
    assert store.read("one") is None
    assert store.read("two") == VALUE


def test_the_mark_changes_with_its_own_value_alone() -> None:
    store, other = SecretStore(), SecretStore()
    store.write("one", VALUE)
    store.write("two", VALUE)
    one, two = other.mark("one"), other.mark("two")
    store.write("one", VALUE)
    assert other.mark("one") != one
    assert other.mark("two") == two
    assert other.mark("three") is None


def test_a_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_SECRETS_KEY", "correct horse")
    SecretStore().write("token", VALUE)
    assert not key_file().exists()
    assert SecretStore().read("token") == VALUE
    monkeypatch.setenv("HUB_SECRETS_KEY", "another horse")
    with pytest.raises(SecretStoreError, match="another key than that of HUB_SECRETS_KEY"):
        SecretStore().read("token")
    monkeypatch.delenv("HUB_SECRETS_KEY")
    with pytest.raises(SecretStoreError, match="its key is not there"):
        SecretStore().read("token")


def test_a_value_under_another_name_opens_nothing() -> None:
    store = SecretStore()
    store.write("mine", VALUE)
    store.write("yours", "other")
    document = json.loads(store.path.read_text())
    document["entries"]["yours"]["value"] = document["entries"]["mine"]["value"]
    store.path.write_text(json.dumps(document))
    with pytest.raises(SecretStoreError, match="'yours' cannot be read"):
        SecretStore().read("yours")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": 9, "entries": {}, "salt": ""}'])
def test_a_damaged_file_is_named_and_left(text: str) -> None:
    store = SecretStore()
    store.path.parent.mkdir(parents=True)
    store.path.write_text(text)
    for attempt in (lambda: SecretStore().read("x"), lambda: SecretStore().write("x", VALUE)):
        with pytest.raises(SecretStoreError, match=r"secrets\.json"):
            attempt()
    assert store.path.read_text() == text


def test_a_broken_keyring_is_said_without_its_words(memory_keyring: MemoryKeyring) -> None:
    store = SecretStore()
    store.write("token", VALUE)
    memory_keyring.broken = True
    with pytest.raises(SecretStoreError, match="keyring failed") as error:
        store.read("token")
    assert "s3cret" not in str(error.value)
    assert store.write("other", VALUE) == "file"
    assert store.read("other") == VALUE


def test_a_keyring_that_never_answers_is_given_up(
    memory_keyring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(system_keyring, "SECONDS", 0.05)
    monkeypatch.setattr(memory_keyring, "get_password", lambda *_: release.wait(10))
    with pytest.raises(SecretStoreError, match="is it locked"):
        SecretStore().read("token")
    release.set()


def test_many_writers_lose_nothing() -> None:
    threads = [
        threading.Thread(target=SecretStore().write, args=(f"name-{number}", f"value-{number}"))
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = SecretStore()
    assert {name: store.read(name) for name in store.places()} == {
        f"name-{number}": f"value-{number}" for number in range(12)
    }


def test_one_at_a_time(tmp_path: Path) -> None:
    store = SecretStore()
    store.write("token", VALUE)
    with (
        store.alone("token", 1),
        pytest.raises(TimeoutError),
        SecretStore().alone("token", 0.05),
    ):
        pass
    with store.alone("token", 1):
        pass
