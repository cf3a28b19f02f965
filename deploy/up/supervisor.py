"""What supervisord is told: one file, written anew at every start."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.up.plan import SERVERS, Program

ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 10
_LONGEST_SOCKET = 100  # The system takes some bytes more than a hundred.


def configuration(folder: Path, programs: Iterable[Program], environment: Mapping[str, str]) -> str:
    """The file's text. It holds passwords: for its owner only."""
    parts = [
        _section("supervisord", _daemon(folder)),
        _section("unix_http_server", {"file": control(folder), "chmod": "0700"}),
        _section("supervisorctl", {"serverurl": f"unix://{control(folder)}"}),
        _section(
            "rpcinterface:supervisor",
            {
                "supervisor.rpcinterface_factory": (
                    "supervisor.rpcinterface:make_main_rpcinterface"
                ),
            },
        ),
    ]
    chosen = list(programs)
    parts += [_section(f"program:{one.name}", _program(folder, one, environment)) for one in chosen]
    # The programs of a group end together, the groups one after the other.
    for order in sorted({one.order for one in chosen}):
        names = ",".join(one.name for one in chosen if one.order == order)
        parts.append(_section(f"group:{order}", {"programs": names, "priority": str(order)}))
    return "\n".join(parts)


def control(folder: Path) -> str:
    """The socket by which supervisord is spoken to; a short path, where the folder's is long."""
    here = str(folder / "control")
    if len(here.encode()) <= _LONGEST_SOCKET:
        return here
    name = hashlib.sha256(here.encode()).hexdigest()[:16]
    return str(Path(tempfile.gettempdir()) / f"pbxim-{name}")


def _daemon(folder: Path) -> dict[str, str]:
    return {
        "nodaemon": "true",
        "logfile": str(folder / "log" / "supervisord.log"),
        "pidfile": str(folder / "supervisord.pid"),
        "silent": "true",
        **({"user": "root"} if os.geteuid() == 0 else {}),
    }


def _program(folder: Path, one: Program, environment: Mapping[str, str]) -> dict[str, str]:
    told = dict(one.environment) if one.order <= SERVERS else {**environment, **one.environment}
    told |= {} if one.order <= SERVERS else {"PBXIM_PROCESS": one.name}
    return {
        "command": " ".join(map(_quoted, one.command)),
        "directory": "/" if one.user else str(ROOT),
        "priority": str(one.order),
        "environment": ",".join(f'{k}="{_escaped(v)}"' for k, v in sorted(told.items())),
        **({"user": one.user} if one.user else {}),
        "autorestart": "unexpected" if one.once else "true",
        # Whoever waits for a server does it inside; what ends is started again all the same.
        "startsecs": "0" if one.once else "1",
        "startretries": "1000000",
        "exitcodes": "0",
        "stopsignal": one.stop_by,
        "stopwaitsecs": str(_STOP_SECONDS),
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(folder / "log" / f"{one.name}.log") if one.quiet else "/dev/stdout",
        "stdout_logfile_maxbytes": "10MB" if one.quiet else "0",
    }


def _section(name: str, values: Mapping[str, str]) -> str:
    return "\n".join([f"[{name}]", *(f"{k} = {v}" for k, v in values.items()), ""])


def _quoted(word: str) -> str:
    return '"' + _escaped(word) + '"' if any(c in word for c in ' {},"') else _escaped(word)


def _escaped(text: str) -> str:
    # supervisord expands %(name)s, also where nobody wants it to.
    return text.replace("%", "%%").replace('"', '\\"')
