"""PostgreSQL as ``deploy/compose.yaml`` has it: its first start, who may connect, and over what."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from deploy.certificates import Authority
from deploy.secrets_folder import SecretsFolder
from deploy.stores import SCHEMAS
from tests.support.postgres import Server, binaries
from tests.unit.containers.compose import ROOT, services

PBXIM = Path(sys.executable).with_name("pbxim")


class Bare(Server):
    """A server with nothing of ours in it yet."""

    def _prepare(self) -> None:
        """Its first start is what is tested."""


class Encrypted:
    """The server behind the Compose file's options, and the secrets that go with it."""

    def __init__(self, folder: Path) -> None:
        self.secrets = folder / "secrets"
        SecretsFolder(self.secrets, database="localhost").fill()
        self.server = Bare(("listen_addresses=127.0.0.1", "fsync=off"))
        self._in_place()
        self.server.stop()
        self.server._settings += self._options()
        self.server.start()

    def _in_place(self) -> None:
        # What the container's command and its mounts do.
        for source, name in (
            (self.secrets / "postgres_key", "key"),
            (self.secrets / "postgres_certificate", "certificate"),
            (ROOT / "deploy/postgres/pg_hba.conf", "hba"),
        ):
            target = self.server.folder / name
            shutil.copy(source, target)
            target.chmod(0o600)
            if os.geteuid() == 0:
                shutil.chown(target, "postgres", "postgres")

    def _options(self) -> tuple[str, ...]:
        (script,) = services()["postgres"]["command"]
        given = [word for word in script.replace("\\\n", " ").split() if "=" in word]
        places = {
            "/run/secrets/postgres_certificate": "certificate",
            "/var/lib/postgresql/server.key": "key",
            "/etc/pbxim/pg_hba.conf": "hba",
        }
        for place, name in places.items():
            given = [word.replace(place, str(self.server.folder / name)) for word in given]
        assert "ssl=on" in given
        return tuple(given)

    def first_start(self) -> None:
        """Runs the image's hook, as its entry point does."""
        script = (ROOT / "deploy/postgres/init.sh").read_text()
        place = {"PGHOST": str(self.server.folder), "PGPORT": str(self.server.port)}
        subprocess.run(
            ["/bin/sh", "-c", script.replace("/run/secrets", str(self.secrets))],
            env={"PATH": f"{binaries()}:{os.environ['PATH']}"} | place,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )

    def address(self, name: str) -> str:
        """One of the addresses that were made, for where the server is here."""
        found = (self.secrets / name).read_text().strip()
        found = found.replace("/run/secrets", str(self.secrets))
        return found.replace(":5432/", f":{self.server.port}/")

    def file(self, name: str) -> str:
        """The same, as a file."""
        path = self.secrets / f"here_{name}"
        path.write_text(self.address(name))
        return str(path)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    made = Encrypted(tmp_path_factory.mktemp("encrypted"))
    made.first_start()
    yield made
    made.server.remove()


@pytest.fixture(scope="module")
def migrated(encrypted: Encrypted, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``pbxim migrate`` said, in the environment of the Compose file."""
    owner = encrypted.file("database_owner")
    settings = {"PBXIM_LOG_FILE": owner, "PBXIM_DATABASE_FILE": owner}
    settings |= {"PBXIM_DATA": str(tmp_path_factory.mktemp("data"))}
    done = subprocess.run(
        [str(PBXIM), "migrate"],
        env=settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_owner_prepares_log_and_stores(migrated: str) -> None:
    assert migrated.startswith("log ")
    assert f"stores {len(SCHEMAS)} schemas" in migrated


def test_the_product_reads_the_log_and_changes_nothing_in_it(
    encrypted: Encrypted, migrated: str
) -> None:
    with (
        closing(psycopg2.connect(encrypted.address("database"))) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert cursor.fetchone() == (True,)
        cursor.execute("SELECT count(*) FROM log.event")
        assert cursor.fetchone() == (0,)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DELETE FROM log.event")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"sslmode": "disable"}, "no pg_hba.conf entry"),
        ({"user": "postgres", "sslmode": "require"}, "no pg_hba.conf entry"),
        ({"dbname": "postgres"}, "no pg_hba.conf entry"),
        ({"password": "guessed"}, "password authentication failed"),
    ],
    ids=["in the clear", "the administrator", "another database", "a guess"],
)
def test_nobody_else_gets_in(encrypted: Encrypted, wrong: dict[str, str], why: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match=why):
        psycopg2.connect(encrypted.address("database"), **wrong)


def test_a_server_of_another_authority_is_not_spoken_to(
    encrypted: Encrypted, tmp_path: Path
) -> None:
    (tmp_path / "ca").write_text(Authority("somebody else").certificate)

    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        psycopg2.connect(encrypted.address("database"), sslrootcert=str(tmp_path / "ca"))
