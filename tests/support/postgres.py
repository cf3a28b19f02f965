"""A private PostgreSQL server for the tests of one process: own folder, own port, own socket.

No cluster of the machine is touched. It starts at its first use and ends with the process, also if
that is killed. What it writes is thrown away, so it need not reach a disk: a server that is killed
still finds it, because the operating system has it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import closing
from functools import cache
from pathlib import Path

import psycopg2

from deploy.up.ports import free_ports
from tests.support.children import runs

LEAST = 15
OWNER, APPLICATION = "pbxim_owner", "pbxim"
TEMPLATE = "pbxim_template"
STORES = "pbxim_stores"
_SECONDS = 30
_STORES_KEPT = 40
_PATIENT = "connect_timeout=10"
_QUICK = (
    *("fsync=off", "full_page_writes=off", "autovacuum=off", "max_connections=100"),
    *(
        "shared_buffers=32MB",
        "listen_addresses=127.0.0.1",
        "wal_level=minimal",
        "max_wal_senders=0",
    ),
    # A test that waits for another's lock fails, and does not wait for ever inside the driver.
    *("lock_timeout=30s", "statement_timeout=60s"),
)
# As an installation has it: a commit is on the disk.
CAREFUL = ("listen_addresses=127.0.0.1", "shared_buffers=128MB")


def binaries() -> Path:
    """The newest PostgreSQL of the machine (`make test` sees to it that there is one)."""
    found = [
        path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")
        if path.parts[-3].isdecimal() and int(path.parts[-3]) >= LEAST
    ]
    assert found, f"no PostgreSQL {LEAST} or newer in /usr/lib/postgresql: run scripts/servers.sh"
    return max(found, key=lambda path: int(path.parts[-2]))


def _unprivileged(*, dies_with_us: bool) -> list[str]:
    """PostgreSQL refuses to be run by root."""
    command = ["setpriv", *(["--pdeathsig", "QUIT"] if dies_with_us else [])]
    if os.geteuid() == 0:
        command += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    return command if len(command) > 1 else []


class Server:
    """A running server with the roles of an installation: an owner and the application."""

    def __init__(self, settings: tuple[str, ...] = _QUICK, place: str | None = None) -> None:
        memory = os.environ.get("PYTEST_DEBUG_TEMPROOT")
        self.folder = Path(tempfile.mkdtemp(prefix="pbxim-pg-", dir=place or memory))
        (self.port,) = free_ports(1)
        self._settings = settings
        self._made: list[str] = []
        self._stores: list[str] = []
        self._count = 0
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        who = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        data = ["--pgdata", str(self.folder / "data")]
        self.run("initdb", "--no-sync", "--no-instructions", *who, *data)
        self.start()
        atexit.register(self.remove)
        self._prepare()

    def run(self, program: str, *arguments: str) -> None:
        """Runs one of PostgreSQL's own programs as its user."""
        command = [*_unprivileged(dies_with_us=False), str(binaries() / program), *arguments]
        done = subprocess.run(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=2 * _SECONDS,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"

    def start(self) -> None:
        """Starts it, and answers when it takes connections."""
        # The system ends a child whose parent *thread* has ended.
        assert threading.current_thread() is threading.main_thread()
        options = [part for one in self._settings for part in ("-c", one)]
        place = ["-D", str(self.folder / "data"), "-k", str(self.folder), "-p", str(self.port)]
        command = [*_unprivileged(dies_with_us=True), str(binaries() / "postgres")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *place, *options],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def _wait(self) -> None:
        for _ in range(_SECONDS * 50):
            assert self._process.poll() is None, (self.folder / "log").read_text()
            try:
                psycopg2.connect(self.address("postgres", "postgres")).close()
            except psycopg2.OperationalError:
                threading.Event().wait(0.02)
            else:
                return
        raise AssertionError((self.folder / "log").read_text())

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it: SIGINT in order, SIGQUIT at once, SIGKILL as a crash does."""
        self._process.send_signal(how)
        self._process.wait(_SECONDS)

    def kill(self) -> None:
        """Kills the server and all its processes at once, as the machine's memory killer would."""
        # Stopped first: a child that it makes meanwhile would wait for ever for what the dead held.
        self._process.send_signal(signal.SIGSTOP)
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        theirs = [int(pid) for pid in children.read_text().split()]
        self._process.kill()
        self._process.wait(_SECONDS)
        for pid in theirs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # They still hold the shared memory, and the next server would refuse to start.
        end = time.monotonic() + _SECONDS
        while any(map(runs, theirs)):
            assert time.monotonic() < end, f"of {theirs} some do not end"
            time.sleep(0.005)  # They are not our children, so nobody tells us.

    def remove(self) -> None:
        """Ends it if it still runs, and takes its folder away."""
        if self._process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def address(self, database: str, role: str = APPLICATION) -> str:
        """Libpq's address of a database, by the socket."""
        return f"postgresql://{role}@/{database}?host={self.folder}&port={self.port}&{_PATIENT}"

    def say(self, statement: str, database: str = "postgres", role: str = "postgres") -> None:
        """Runs a statement outside of a transaction."""
        with closing(psycopg2.connect(self.address(database, role))) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)

    def _prepare(self) -> None:
        # Processes that only write need none of it.
        from deploy.migrations import migrate, migrate_stores

        self.say(f"CREATE ROLE {OWNER} LOGIN CREATEROLE")
        self.say("CREATE ROLE pbxim_app NOLOGIN")
        self.say(f"CREATE ROLE {APPLICATION} LOGIN IN ROLE pbxim_app")
        self.say(f"CREATE DATABASE {TEMPLATE} OWNER {OWNER}")
        migrate(self.address(TEMPLATE, OWNER))
        self.say(f"CREATE DATABASE {STORES} OWNER {OWNER}")
        migrate_stores(self.address(STORES, OWNER))

    def empty_database(self) -> str:
        """The name of a new database without anything in it."""
        self._count += 1
        name = f"empty_{self._count}"
        self.say(f"CREATE DATABASE {name} OWNER {OWNER}")
        return name

    def store_database(self, copied: str = STORES) -> str:
        """The name of a new database with empty stores, or with what another one has in it (whoever
        is connected to that loses the connection); all but the last few are dropped."""
        if copied in self._stores:  # It may be copied again.
            self._stores.remove(copied)
        while len(self._stores) > _STORES_KEPT:
            self.say(f"DROP DATABASE {self._stores.pop(0)} WITH (FORCE)")
        self._count += 1
        name = f"stores_{self._count}"
        self.say(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{copied}'"
        )
        self.say(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {copied}")
        # Services of tests have no schemas yet.
        self.say(f"GRANT CREATE ON DATABASE {name} TO pbxim_app")
        self._stores.append(name)
        return name

    def store_database_of_another_locale(self) -> str:
        """The name of a new database with empty stores, in which texts that are not told otherwise
        are in the order of English."""
        from deploy.migrations import migrate_stores

        self._count += 1
        name = f"english_{self._count}"
        locale = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
        self.say(f"CREATE DATABASE {name} OWNER {OWNER} {locale}")
        migrate_stores(self.address(name, OWNER))
        return name

    def log_database(self) -> str:
        """The name of a new database with an empty log; all but the last few are dropped."""
        while len(self._made) > 3:
            self.say(f"DROP DATABASE {self._made.pop(0)} WITH (FORCE)")
        self._count += 1
        name = f"log_{self._count}"
        self.say(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {TEMPLATE}")
        self._made.append(name)
        # Copies of one template have one id; an installation's log gets its own when it is made.
        self.say(
            "SET session_replication_role = replica;"
            "UPDATE log.head SET log_id = gen_random_uuid()::text",
            name,
        )
        return name


@cache
def server() -> Server:
    """The server of this process, started now if it does not run yet."""
    return Server()
