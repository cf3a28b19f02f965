"""The servers of ``make up``: what of them is whose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.up.servers import Servers


def test_two_folders_with_the_same_port_never_share_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    places = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        Servers(folder)
        file = folder / "servers.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"port": 5432}))
        places.append(Servers(folder).postgres_place)

    assert len(set(places)) == 2
    assert Servers(tmp_path / "one").postgres_place == places[0]


def test_a_folder_of_an_earlier_version_finds_its_database_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    Servers(tmp_path)
    file = tmp_path / "servers.json"
    known = json.loads(file.read_text()) | {"port": 5432}
    del known["postgres_place"]
    file.write_text(json.dumps(known))

    assert Servers(tmp_path).postgres_place == Path("/var/lib/pbxim/up-5432")


def test_for_others_than_root_it_lies_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    assert Servers(tmp_path).postgres_place == tmp_path / "postgresql"


def test_every_port_is_another_one_and_none_that_the_system_gives_to_connections(
    tmp_path: Path,
) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    ports = [Servers(tmp_path).port(f"health:{n}") for n in range(50)]

    known = json.loads((tmp_path / "servers.json").read_text())
    all_of_them = [found for found in known.values() if isinstance(found, int)]
    assert set(ports) < set(all_of_them)
    assert len(set(all_of_them)) == len(all_of_them) == 54
    assert all(1024 < port < first for port in all_of_them)
    assert [Servers(tmp_path).port(f"health:{n}") for n in range(50)] == ports
