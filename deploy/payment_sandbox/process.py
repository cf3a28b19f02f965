"""Starting the sandbox as a child process that never outlives its parent."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 15.0
STOP_SECONDS = 2.0
GONE_SECONDS = 10.0  # A killed one is gone at once; on a machine that is out of breath, later.


class SandboxNotStartedError(RuntimeError):
    """The child ended, or did not announce its port in time; its stderr says why."""


@dataclass(frozen=True)
class SandboxProcess:
    """A running sandbox."""

    base_url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it, at the latest after 2 seconds, and wait for that; again does nothing."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(GONE_SECONDS)
        _close(self.process)

    def kill(self) -> None:
        """End it without warning, as a power cut would (for tests)."""
        self.process.kill()
        self.process.wait(GONE_SECONDS)
        _close(self.process)


def start_sandbox(
    data: Path,
    *,
    secret_key: str,
    publishable_key: str,
    webhook_url: str | None = None,
    webhook_secret: str | None = None,
    port: int = 0,
    embedders: Sequence[str] = (),
    faults: object = None,
    stderr: IO[bytes] | int | None = None,
) -> SandboxProcess:
    """Start it and wait until it answers; raises SandboxNotStartedError.

    `data` holds the book and may be used again after a restart.  `faults` is a list of rules
    (see faults.py).  The child ends when this process does, however that ends.
    """
    command = [sys.executable, "-m", "deploy.payment_sandbox", "--parent-pipe"]
    command += ["--port", str(port), "--data", str(data)]
    command += ["--secret-key", secret_key, "--publishable-key", publishable_key]
    if webhook_url:
        command += ["--webhook-url", webhook_url, "--webhook-secret", webhook_secret or ""]
    for origin in embedders:
        command += ["--embedder", origin]
    if faults is not None:
        command += ["--faults", json.dumps(faults)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        # Ctrl-C in a terminal is for the parent; it ends us when it has finished its work.
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": _import_path()},
    )
    try:
        ready = _first_line(process)
    except BaseException:
        process.kill()
        process.wait(GONE_SECONDS)
        _close(process)
        raise
    return SandboxProcess(f"http://127.0.0.1:{ready['port']}", process)


def _import_path() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def _first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    lines: queue.Queue[bytes] = queue.Queue()
    stdout = process.stdout
    if stdout is None:
        raise SandboxNotStartedError
    threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
    try:
        line = lines.get(timeout=READY_SECONDS)
        found: dict[str, Any] = json.loads(line)
    except (queue.Empty, ValueError) as error:
        message = f"The payment sandbox did not start (exit code {process.poll()})."
        raise SandboxNotStartedError(message) from error
    return found


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
