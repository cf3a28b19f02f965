"""A private server that speaks KurrentDB's protocol (``kurrentdb_server.py``), for the tests of one
process: own port, own file. It starts at its first use and ends with the process, also if that is
killed. It is no KurrentDB: ``PBXIM_TEST_KURRENTDB`` names one for the contract suite.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from contextlib import closing
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from deploy.up.ports import free_ports

ROOT = Path(__file__).parents[2]
REAL = os.environ.get("PBXIM_TEST_KURRENTDB", "")
_SECONDS = 30


class Server:
    """A running server. ``kill`` and ``start`` keep its port and what it acknowledged."""

    def __init__(self) -> None:
        memory = os.environ.get("PYTEST_DEBUG_TEMPROOT")
        self.folder = Path(tempfile.mkdtemp(prefix="pbxim-kurrentdb-", dir=memory))
        (self.port,) = free_ports(1)
        self.start()
        atexit.register(self.remove)

    def start(self) -> None:
        """Starts it, and answers when it takes connections."""
        # The system ends a child whose parent *thread* has ended.
        assert threading.current_thread() is threading.main_thread()
        program = [sys.executable, "-m", "tests.support.kurrentdb_server"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *program, str(self.port), self._journal],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        for _ in range(_SECONDS * 50):
            assert self._process.poll() is None, (self.folder / "log").read_text()
            with closing(socket.socket()) as found:
                if found.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            threading.Event().wait(0.02)
        raise AssertionError((self.folder / "log").read_text())

    @property
    def _journal(self) -> str:
        return str(self.folder / "events")

    def kill(self) -> None:
        """Ends it without warning."""
        self._process.kill()
        self._process.wait(_SECONDS)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def remove(self) -> None:
        """Ends it, and takes its folder away."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def address(self, name: str = "") -> str:
        """The address of a log; of a new one unless it is named."""
        return f"kurrentdb://127.0.0.1:{self.port}/{name or new_name()}?tls=false"

    def journal(self) -> bytes:
        """Everything it has written, to be restored later."""
        return Path(self._journal).read_bytes()

    def restore(self, journal: bytes) -> None:
        """Goes back to what it had written then, as from a backup."""
        self.kill()
        Path(self._journal).write_bytes(journal)
        self.start()


def new_name() -> str:
    """A log that nobody has used: its streams are its own, on whatever server."""
    return f"test_{uuid.uuid4().hex}"


def real_address() -> str:
    """A new log on the server that ``PBXIM_TEST_KURRENTDB`` names."""
    return urlunsplit(urlsplit(REAL)._replace(path=f"/{new_name()}"))


@cache
def server() -> Server:
    """The server of this process, started now if it does not run yet."""
    return Server()
