"""Which processes there are, in which order they start, and what each of them is told."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.ground import all_specs

_PYTHON = sys.executable
_NAMEKO = str(Path(sys.executable).with_name("nameko"))
SERVERS, ONCE, SERVICES = 10, 20, 30


@dataclass(frozen=True)
class Program:
    """One process. ``order``: lower ones start first and end last; ``once``: it ends by itself."""

    name: str
    command: tuple[str, ...]
    order: int = SERVICES
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    once: bool = False
    stop_by: str = "TERM"
    quiet: bool = False


def programs(
    *, sandbox: bool, together: bool, own_database: bool = True, own_payments: bool = True
) -> list[Program]:
    """The product's own processes. ``together``: one for all services and one for all runners, for
    small machines; else one each. Without an ``own_database`` its owner prepares it; without
    ``own_payments`` the sandbox is used with keys of Stripe's."""
    names = [spec.name for spec in all_specs()]
    found = []
    if own_database:
        found.append(Program("migrate", (_PYTHON, "-m", "deploy.up.migrate"), ONCE, once=True))
    if sandbox and own_payments:
        found.append(Program("payments", (_PYTHON, "-m", "deploy.up.payments"), ONCE))
    clock = ["clock"] if sandbox else []
    groups = [[*names, *clock]] if together else [[name] for name in [*names, *clock]]
    found += [_service(group) for group in groups]
    found += [_runner(group) for group in ([names] if together else [[name] for name in names])]
    found.append(Program("relay", (_PYTHON, "-m", "deploy.relay")))
    found.append(Program("gateway", (_PYTHON, "-m", "deploy.gateway")))
    return found


def _service(names: list[str]) -> Program:
    classes = [f"deploy.nameko_services:{name.capitalize()}Service" for name in names]
    command = (_NAMEKO, "run", "--config", "deploy/nameko.yaml", *classes)
    # Of nameko's own dependencies, about themselves.
    quiet = {"PYTHONWARNINGS": "ignore"}
    return Program(names[0] if len(names) == 1 else "services", command, environment=quiet)


def _runner(names: list[str]) -> Program:
    name = f"{names[0]}-runner" if len(names) == 1 else "runners"
    return Program(name, (_PYTHON, "-m", "deploy.runner", *names))
