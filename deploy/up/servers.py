"""A PostgreSQL and a RabbitMQ of our own: folders, passwords, ports. Nothing of the machine's own
servers is touched, and nobody else can use these: they listen on this machine only, with passwords
that were made by chance and lie in ``servers.json`` (mode 0600).
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

from deploy.demo import write_private
from deploy.up.plan import SERVERS, Program
from deploy.up.ports import free_ports, is_taken
from shared.refusals import refusal

_LEAST = 15
_SECONDS = 60
_PORTS = ("port", "broker_port", "names_port", "distribution_port")
_RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_ELSEWHERE = Path("/var/lib/pbxim")
_POSTGRES_USER = "postgres"  # PostgreSQL refuses to be run by root.


class Servers:
    """The servers of one folder. Made anew they are empty; later starts find what was there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "servers.json"
        self._known = self._remembered()

    @property
    def broker(self) -> str:
        """Where RabbitMQ is, for ``PBXIM_AMQP``."""
        return f"amqp://pbxim:{self._known['broker']}@127.0.0.1:{self._known['broker_port']}/"

    def database(self, role: str = "pbxim") -> str:
        """Where PostgreSQL is, for ``PBXIM_LOG`` and ``PBXIM_DATABASE``; as ``pbxim_owner`` for
        migrations, as ``postgres`` to make the roles."""
        name = "postgres" if role == "postgres" else "pbxim"
        return f"postgresql://{role}:{self._known[role]}@127.0.0.1:{self._known['port']}/{name}"

    def port(self, name: str) -> int:
        """A free port for something, the same one at every start."""
        if name not in self._known:
            others = [found for found in self._known.values() if isinstance(found, int)]
            (self._known[name],) = free_ports(1, others)
            write_private(self._path, self._known)
        return int(self._known[name])

    def taken(self) -> list[int]:
        """The ports of ours that somebody else listens on."""
        ports = [found for name, found in self._known.items() if isinstance(found, int)]
        return sorted(port for port in ports if is_taken("127.0.0.1", port))

    def password(self, role: str) -> str:
        """Of a role of the database."""
        return str(self._known[role])

    def postgres(self) -> Program:
        """The program, its cluster made if there is none. Raises ``server_missing``."""
        binaries = _postgres_binaries()
        place = self.postgres_place
        user = _POSTGRES_USER if os.geteuid() == 0 else ""
        if not (place / "data" / "PG_VERSION").exists():
            self._make_cluster(binaries, place, user)
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(place),
            "port": str(self._known["port"]),
            "max_connections": "300",
            "shared_buffers": "128MB",
        }
        given = [part for name, found in options.items() for part in ("-c", f"{name}={found}")]
        command = (str(binaries / "postgres"), "-D", str(place / "data"), *given)
        return Program("postgresql", command, SERVERS, user=user, stop_by="INT", quiet=True)

    def rabbitmq(self) -> list[Program]:
        """The programs: the broker, and the server that knows the port of its node."""
        if not _RABBITMQ.exists():
            raise _missing("RabbitMQ 3.10 or newer", "rabbitmq-server", "PBXIM_AMQP")
        place = self.folder / "rabbitmq"
        place.mkdir(mode=0o700, exist_ok=True)
        write_secret(place / ".erlang.cookie", str(self._known["cookie"]), 0o400)
        write_secret(place / "plugins", "[].\n")
        lines = {
            "listeners.tcp.1": f"127.0.0.1:{self._known['broker_port']}",
            "default_user": "pbxim",
            "default_pass": self._known["broker"],
            "log.console": "true",
            "log.console.level": "warning",
            "log.file": "false",
        }
        write_secret(place / "rabbitmq.conf", "".join(f"{k} = {v}\n" for k, v in lines.items()))
        names = ("epmd", "-address", "127.0.0.1", "-port", str(self._known["names_port"]))
        environment = self._rabbitmq_environment(place)
        return [
            Program("rabbitmq-names", names, SERVERS - 1, stop_by="KILL", quiet=True),
            Program("rabbitmq", (str(_RABBITMQ),), SERVERS, environment, quiet=True),
        ]

    def _rabbitmq_environment(self, place: Path) -> dict[str, str]:
        return {
            "HOME": str(place),
            "ERL_EPMD_PORT": str(self._known["names_port"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"pbxim-{self._known['broker_port']}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._known["broker_port"]),
            "RABBITMQ_DIST_PORT": str(self._known["distribution_port"]),
            "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(place / "no-environment"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(place / "mnesia"),
            "RABBITMQ_LOG_BASE": str(place / "log"),
            "RABBITMQ_PID_FILE": str(place / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _remembered(self) -> dict[str, Any]:
        if self._path.exists():
            known: dict[str, Any] = json.loads(self._path.read_text())
            return known
        made: dict[str, Any] = {
            name: secrets.token_hex(16)
            for name in ("postgres", "pbxim_owner", "pbxim", "broker", "cookie")
        }
        made |= dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        if os.geteuid() == 0:
            made["postgres_place"] = str(_ELSEWHERE / f"up-{secrets.token_hex(8)}")
        write_private(self._path, made)
        return made

    def forget(self) -> None:
        """Deletes the PostgreSQL cluster, which may lie outside of the folder."""
        shutil.rmtree(self.postgres_place, ignore_errors=True)

    @property
    def postgres_place(self) -> Path:
        """Where the cluster lies: in the folder, or for root where PostgreSQL's user gets to."""
        # Its user must be able to get there, and a home folder of root's lets nobody in.
        if os.geteuid() != 0:
            return self.folder / "postgresql"
        # Never named after what another folder may be given, too: its data would be taken for ours.
        elsewhere = _ELSEWHERE / f"up-{self._known['port']}"  # Of folders made by earlier versions.
        return Path(self._known.get("postgres_place") or elsewhere)

    def _make_cluster(self, binaries: Path, place: Path, user: str) -> None:
        if not shutil.which("setpriv") and user:
            raise _missing("setpriv", "util-linux", "PBXIM_DATABASE")
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = place / "password"
        write_secret(password, str(self._known["postgres"]))
        if user:
            if not _exists(user):
                raise _missing("the user postgres", "postgresql", "PBXIM_DATABASE")
            for path in (place, password):
                shutil.chown(path, user, user)
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        made = ["--pgdata", str(place / "data"), "--pwfile", str(password)]
        form = ["--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8", "--locale=C"]
        command = [*who, str(binaries / "initdb"), "--no-instructions", *form, *made]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=_SECONDS)
        password.unlink()


def _postgres_binaries() -> Path:
    versions = {
        int(path.parts[-3]): path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")
        if path.parts[-3].isdecimal() and int(path.parts[-3]) >= _LEAST
    }
    if not versions:
        raise _missing(f"PostgreSQL {_LEAST} or newer", "postgresql", "PBXIM_DATABASE")
    return versions[max(versions)]


def _missing(what: str, package: str, setting: str) -> Exception:
    detail = (
        f"make up needs {what}. Debian: apt-get install {package} (as root); "
        f"or name a server that is there: {setting}."
    )
    return refusal("setting_invalid", detail, param=setting)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def write_secret(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes a file that only its owner can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, mode), "w") as file:
        file.write(text)
