"""While it runs: supervisord as a child, its output passed on, and a word when all is ready."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from deploy.demo import write_private
from deploy.up.looking import ready
from deploy.up.supervisor import ROOT
from shared.config import Settings

_READY_SECONDS = 180.0
_LOOK_SECONDS = 0.1


def supervise(file: Path, settings: Settings, http: str, folder: Path) -> int:
    """Runs what the file says until Ctrl-C, SIGTERM or its end; answers with the exit status."""
    supervisord = Path(sys.executable).with_name("supervisord")
    # A session of its own: Ctrl-C reaches us alone, and we end it in order.
    command = [str(supervisord), "-c", str(file)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
    url = f"http://{http}"
    write_private(folder / "up.json", {"url": url})

    def stop(_number: int, _frame: FrameType | None) -> None:
        child.terminate()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    threading.Thread(target=_greet, args=(settings, url, child), daemon=True).start()
    _pass_on(child)
    status = child.wait()
    (folder / "up.json").unlink(missing_ok=True)
    return max(0, status)


def _pass_on(child: subprocess.Popen[bytes]) -> None:
    # supervisord opens its output once per program; as a file of ours that would overwrite itself.
    for line in child.stdout or ():
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def _greet(settings: Settings, url: str, child: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    while not ready(url).get("ready") or not _may_sign_in(settings):
        if child.poll() is not None or time.monotonic() > began + _READY_SECONDS:
            return
        time.sleep(_LOOK_SECONDS)
    lines = [
        "",
        f"  PBX.IM Numbers ({settings.mode}) is ready after {time.monotonic() - began:.1f} s.",
        f"  Pages        {url}/",
        f"  API docs     {url}/docs",
        "  Processes    make status",
    ]
    if settings.sandbox:
        lines.append(f"  Signing in   see {settings.data / 'demo.json'}")
    say("\n".join([*lines, "  Ctrl-C or make down ends it.", ""]))


def _may_sign_in(settings: Settings) -> bool:
    return not settings.sandbox or (settings.data / "demo.json").exists()


def say(text: str) -> None:
    """To whoever started it."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201
