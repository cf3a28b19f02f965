"""The secrets of an installation in containers: ``python -m deploy.secrets_folder FOLDER``.

Makes passwords, a certificate authority with the servers' certificates, the key of personal data,
and the addresses that go with them, one file each, as ``deploy/compose.yaml`` wants them. What is
there already stays. What others give (Stripe's keys) is named at the end, for a person to add.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from deploy.certificates import Authority
from shared import sealing

_DEFINITIONS = Path(__file__).parent / "rabbitmq" / "definitions.json"
_MOUNTED = "/run/secrets"  # Where containers find them.
# Not made here: whoever gives them. Live mode does not start without the first three.
GIVEN = ("stripe_secret_key", "stripe_publishable_key", "stripe_webhook_secret", "smtp")
# Its owner alone may read it, or the product does not start. The others are read by the users of
# several images; on the host the folder keeps them.
_OWN, _MOUNTABLE = 0o600, 0o644
BROKER_USERS = ("relay", "services", "gateway")


class SecretsFolder:
    """A folder of secrets. ``broker`` and ``database`` are the servers' names for each other."""

    def __init__(self, folder: Path, broker: str = "rabbitmq", database: str = "postgres") -> None:
        self._folder = folder
        self._broker = broker
        self._database = database
        self._hosts = {"rabbitmq": broker, "postgres": database, "kurrentdb": "kurrentdb"}
        self._made: list[str] = []

    def fill(self) -> list[str]:
        """Makes what is missing; answers with the names of what was made."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sealing.load_key_file(self._folder / "master_key", create=True)
        self._passwords()
        self._certificates()
        self._addresses()
        self._put("rabbitmq_definitions", self._definitions)
        return self._made

    def missing(self) -> list[str]:
        """What a person has to add."""
        return [name for name in GIVEN if not (self._folder / name).exists()]

    def read(self, name: str) -> str:
        """One secret."""
        return (self._folder / name).read_text().strip()

    def _passwords(self) -> None:
        for name in ("postgres_password", "postgres_owner_password", "postgres_app_password"):
            self._put(name, _password)
        for user in BROKER_USERS:
            self._put(f"rabbitmq_{user}_password", _password)

    def _certificates(self) -> None:
        names = [f"{server}_{part}" for server in self._hosts for part in _PARTS]
        if all((self._folder / name).exists() for name in ("ca", *names)):
            return
        authority = Authority("PBX.IM Numbers, servers of one installation")
        self._renew("ca", authority.certificate)
        for server, host in self._hosts.items():
            certificate, key = authority.issue(host)
            self._renew(f"{server}_certificate", certificate)
            self._renew(f"{server}_key", key)

    def _addresses(self) -> None:
        for role, names in (
            ("owner", ("log_owner", "database_owner")),
            ("app", ("log", "database")),
        ):
            for name in names:
                self._put(name, partial(self._postgresql, role))
        for user in BROKER_USERS:
            self._put(f"amqp_{user}", partial(self._amqp, user))

    def _postgresql(self, role: str) -> str:
        user = {"owner": "pbxim_owner", "app": "pbxim"}[role]
        password = self.read(f"postgres_{role}_password")
        trusted = f"sslmode=verify-full&sslrootcert={_MOUNTED}/ca"
        return f"postgresql://{user}:{password}@{self._database}:5432/pbxim?{trusted}"

    def _amqp(self, user: str) -> str:
        password = self.read(f"rabbitmq_{user}_password")
        trusted = f"cacertfile={_MOUNTED}/ca"
        return f"amqps://pbxim_{user}:{password}@{self._broker}:5671/pbxim?{trusted}"

    def _definitions(self) -> str:
        found: dict[str, Any] = json.loads(_DEFINITIONS.read_text())
        for user in found["users"]:
            name = user["name"].removeprefix("pbxim_")
            user["password_hash"] = _rabbit_hash(self.read(f"rabbitmq_{name}_password"))
        return json.dumps(found, indent=2)

    def _put(self, name: str, make: Callable[[], str]) -> None:
        if not (self._folder / name).exists():
            self._renew(name, make())

    def _renew(self, name: str, content: str) -> None:
        path = self._folder / name
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWN)
        with os.fdopen(handle, "w") as file:
            file.write(content.rstrip("\n") + "\n")
        path.chmod(_MOUNTABLE)
        self._made.append(name)


_PARTS = ("certificate", "key")


def _password() -> str:
    return secrets.token_urlsafe(24)  # No character of it means anything in an address.


def _rabbit_hash(password: str, salt: bytes | None = None) -> str:
    # RabbitMQ's own form: four bytes of salt, and SHA-256 over them and the password.
    begin = salt or secrets.token_bytes(4)
    return base64.b64encode(begin + hashlib.sha256(begin + password.encode()).digest()).decode()


def main(arguments: list[str]) -> None:
    """Fills the folder that is named, and says what is still to be added."""
    if len(arguments) != 1:
        sys.exit("usage: python -m deploy.secrets_folder FOLDER")
    folder = SecretsFolder(Path(arguments[0]))
    made, missing = folder.fill(), folder.missing()
    sys.stderr.write(f"made: {', '.join(made) or 'nothing, all is there'}\n")
    if missing:
        sys.stderr.write(f"to be added, one file each: {', '.join(missing)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
