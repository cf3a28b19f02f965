"""The secrets that are made for an installation."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509

from deploy import secrets_folder
from deploy.secrets_folder import SecretsFolder
from shared import sealing


def test_what_is_there_stays_and_what_is_missing_is_made(tmp_path: Path) -> None:
    first = SecretsFolder(tmp_path / "s")
    made = first.fill()
    before = {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()}
    (tmp_path / "s" / "amqp_relay").unlink()

    again = SecretsFolder(tmp_path / "s").fill()

    assert "postgres_password" in made
    assert again == ["amqp_relay"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()} == before


def test_no_two_installations_share_a_password(tmp_path: Path) -> None:
    for name in ("a", "b"):
        SecretsFolder(tmp_path / name).fill()
    passwords = [p.read_text() for p in tmp_path.glob("*/*_password")]

    assert len(set(passwords)) == len(passwords) == 12
    assert all(len(found.strip()) >= 32 for found in passwords)


def test_the_key_of_personal_data_is_the_owner_s_alone_and_the_folder_too(tmp_path: Path) -> None:
    SecretsFolder(tmp_path / "s").fill()

    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "s/master_key").stat().st_mode) == 0o600
    assert len(sealing.load_key_file(tmp_path / "s/master_key", create=False)) == 32


def test_rabbitmq_gets_each_user_s_password_as_a_salted_hash(tmp_path: Path) -> None:
    SecretsFolder(tmp_path / "s").fill()
    definitions = json.loads((tmp_path / "s/rabbitmq_definitions").read_text())

    for user in definitions["users"]:
        name = user["name"].removeprefix("pbxim_")
        password = (tmp_path / f"s/rabbitmq_{name}_password").read_text().strip()
        raw = base64.b64decode(user["password_hash"])
        assert raw[4:] == hashlib.sha256(raw[:4] + password.encode()).digest()
        assert password in (tmp_path / f"s/amqp_{name}").read_text()


def test_each_server_s_certificate_is_the_authority_s_and_bears_its_name(tmp_path: Path) -> None:
    SecretsFolder(tmp_path / "s").fill()
    authority = x509.load_pem_x509_certificate((tmp_path / "s/ca").read_bytes())

    for server in ("rabbitmq", "postgres", "kurrentdb"):
        made = x509.load_pem_x509_certificate((tmp_path / f"s/{server}_certificate").read_bytes())
        made.verify_directly_issued_by(authority)
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [server, "localhost"]
        assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_without_a_folder_it_says_how_it_is_called() -> None:
    with pytest.raises(SystemExit, match="usage"):
        secrets_folder.main([])


def test_what_a_person_has_to_add_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets_folder.main([str(tmp_path / "s")])

    said = capsys.readouterr().err
    assert "to be added, one file each: stripe_secret_key" in said
    assert (tmp_path / "s/postgres_password").read_text().strip() not in said
