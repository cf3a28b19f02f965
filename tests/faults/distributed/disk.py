"""A disk of its own for the database of a system."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from deploy.demo import write_private
from deploy.up.servers import Servers
from tests.faults.test_full_disk import NO_DISK, Disk

_SIZE = "320m"


class DatabaseDisk(Disk):
    """A small one, in memory; PostgreSQL's user gets to it."""

    @classmethod
    def mounted(cls) -> DatabaseDisk:
        """Fails where this machine does not allow it."""
        place = Path(tempfile.mkdtemp(prefix="faults-disk-"))
        command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=755", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0, f"{NO_DISK} mount says: {done.stderr}"
        return cls(place)

    def take(self, up: Path) -> None:
        """Has the cluster of a folder made here."""
        up.mkdir(mode=0o700, parents=True, exist_ok=True)
        Servers(up)
        file = up / "servers.json"
        known = json.loads(file.read_text()) | {"postgres_place": str(self.folder / "postgresql")}
        write_private(file, known)

    def unmount(self) -> None:
        """Takes it away."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True, timeout=20)
        self.folder.rmdir()
