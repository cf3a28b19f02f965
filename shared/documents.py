"""Files that belong to the state: named by the SHA-256 of their content, written once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from shared.refusals import refusal


class Documents:
    """A folder of files. What was put is on the disk when ``put`` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> str:
        """Stores the content; answers its SHA-256 in hexadecimal. Raises ``storage_full``."""
        name = hashlib.sha256(content).hexdigest()
        path = self._folder / name
        if not path.exists():
            self._write(path, content)
        return name

    def get(self, name: str) -> bytes:
        """The content again."""
        return (self._folder / name).read_bytes()

    def _write(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.new")
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise refusal("storage_full", "The file cannot be stored.") from error
