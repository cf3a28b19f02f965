"""The key file, and the keys of subjects that are wrapped with it."""

from __future__ import annotations

import base64
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from shared.errors import Broken
from shared.sealing import Wrapper, load_key_file, new_key
from shared.stores import SqliteStore, StoredKeyring
from shared.stores.keyring import KEPT_SECONDS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "master.key"


def test_a_key_file_is_made_for_nobody_else_to_read(path: Path) -> None:
    key = load_key_file(path, create=True)

    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key_file(path, create=True) == load_key_file(path, create=False) == key


def test_two_installations_have_different_keys(tmp_path: Path) -> None:
    assert load_key_file(tmp_path / "a", create=True) != load_key_file(tmp_path / "b", create=True)


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def started(path: Path) -> bytes:
        together.wait(30)
        return load_key_file(path, create=True)

    with ThreadPoolExecutor(8) as starting:
        for round_ in range(20):
            path = tmp_path / str(round_) / "master.key"
            keys = set(starting.map(started, [path] * 8))
            assert len(keys) == 1
            assert list(path.parent.iterdir()) == [path]


def refused(path: Path) -> str:
    with pytest.raises(Broken, match="setting_invalid") as raised:
        load_key_file(path, create=False)
    assert raised.value.param == "PBXIM_KEY_FILE"
    return raised.value.detail


def test_a_missing_key_file_is_refused_by_name(path: Path) -> None:
    assert str(path) in refused(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_file_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    load_key_file(path, create=True)
    path.chmod(mode)

    assert "chmod 600" in refused(path)


@pytest.mark.parametrize(
    "content",
    [b"", base64.b64encode(b"short"), base64.b64encode(bytes(33)), b"not base64!", os.urandom(32)],
    ids=["empty", "short", "long", "no base64", "raw"],
)
def test_a_key_file_of_another_size_is_refused(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_bytes(content)

    assert "32 bytes" in refused(path)


def test_a_key_file_may_end_with_a_line_break(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_bytes(base64.b64encode(b"k" * 32) + b"\n")

    assert load_key_file(path, create=False) == b"k" * 32


def test_a_key_is_opened_by_the_wrapping_key_for_its_subject_only() -> None:
    wrapper, key = Wrapper(b"a" * 32), new_key()
    wrapped = wrapper.wrap("acct_1", key)

    assert wrapper.unwrap("acct_1", wrapped) == key
    assert key not in wrapped
    for other, subject in [(Wrapper(b"b" * 32), "acct_1"), (wrapper, "acct_2")]:
        with pytest.raises(Broken, match="not the key file this data was made with"):
            other.unwrap(subject, wrapped)


def test_a_subject_has_one_key_whoever_makes_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db", durable=True)
    rings = [StoredKeyring(store, b"m" * 32) for _ in range(8)]
    keys: list[bytes | None] = []
    threads = [
        threading.Thread(target=lambda ring=ring: keys.append(ring.make_key("acct_1")))
        for ring in rings
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(keys) == 8
    assert set(keys) == {rings[0].key("acct_1")}
    assert rings[0].key("acct_2") is None
    store.close()


def test_a_destroyed_key_never_comes_back(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db", durable=True)
    ring = StoredKeyring(store, b"m" * 32)
    assert ring.make_key("acct_1") is not None

    ring.destroy("acct_1")
    ring.destroy("never sealed")

    for reader in (ring, StoredKeyring(store, b"m" * 32)):
        for subject in ("acct_1", "never sealed"):
            assert reader.key(subject) is None
            assert reader.make_key(subject) is None
    with store.read() as connection:
        wrapped = connection.execute(text("SELECT wrapped FROM subject_key")).scalars().all()
    assert wrapped == [None, None]
    store.close()


def test_what_another_process_erased_is_unknown_here_a_minute_later(tmp_path: Path) -> None:
    store, now = SqliteStore(tmp_path / "state.db", durable=True), [0.0]
    ours, theirs = (StoredKeyring(store, b"m" * 32, lambda: now[0]) for _ in range(2))
    assert ours.make_key("acct_1") is not None

    theirs.destroy("acct_1")
    now[0] += KEPT_SECONDS

    assert ours.key("acct_1") is None
    assert ours.make_key("acct_1") is None
    store.close()
