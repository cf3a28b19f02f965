"""How the system is: which of its processes run, and what its gateway says of the read models."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def running(folder: Path) -> int | None:
    """The supervising process, which outlives us where we are killed."""
    try:
        pid = int((folder / "supervisord.pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if is_alive(pid) else None


def is_alive(pid: int) -> bool:
    """Whether that process is a supervising one."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:  # A number may belong to another program now, and a dead one may wait to be asked.
        words = Path(f"/proc/{pid}/cmdline").read_text()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return Path("/proc/self").exists() is False
    return "supervisord" in words and state != "Z"


def processes(folder: Path) -> dict[str, str]:
    """Each program by its name, in supervisord's words."""
    program = Path(sys.executable).with_name("supervisorctl")
    command = [str(program), "-c", str(folder / "supervisord.conf"), "status"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip()]
    return {name.rpartition(":")[2]: rest.strip() for name, rest in lines}


def ready(url: str) -> dict[str, Any]:
    """What ``/readyz`` of the gateway answers; nothing when it does not."""
    request = urllib.request.Request(f"{url}/readyz")
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # nosec B310  # Our own http.
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        with contextlib.suppress(ValueError):
            return dict(json.load(error))
    except (OSError, ValueError):
        pass
    return {}


def in_words(ready: dict[str, Any]) -> str:
    """That answer for a reader."""
    if not ready:
        return "no: the gateway does not answer"
    behind = [f"{n} {c['lag']}" for n, c in ready.get("consumers", {}).items() if c.get("lag")]
    silent = [f"{name} is silent" for name in ready.get("silent_runners", [])]
    failed = [n for n, c in ready.get("consumers", {}).items() if c.get("failure")]
    words = ["yes" if ready.get("ready") else "no", *silent]
    words += [f"stopped: {', '.join(failed)}"] if failed else []
    words += [f"behind: {', '.join(behind)}"] if behind else []
    return "; ".join(words)
