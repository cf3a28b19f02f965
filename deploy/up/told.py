"""What the processes are told: settings of their own, and which servers are started for them."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from deploy.payments import keys_of
from deploy.up.plan import Program
from deploy.up.servers import Servers
from shared import config
from shared.config import Settings


def told(settings: Settings, folder: Path) -> tuple[dict[str, str], list[Program]]:
    """What the processes are told, and the servers that have to be started for them: those that no
    setting names, in itself or by a file."""
    words = {k: v for k, v in config.environment().items() if k.startswith("PBXIM_")}
    servers, own = Servers(folder), []
    if settings.database is None:
        own.append(servers.postgres())
        words["PBXIM_DATABASE"] = servers.database()
    if not words.get("PBXIM_LOG") and not words.get("PBXIM_LOG_FILE"):
        words["PBXIM_LOG"] = settings.database or servers.database()
    if settings.amqp is None:
        own += servers.rabbitmq()
        words["PBXIM_AMQP"] = servers.broker
    settings = replace(settings, port=settings.port or servers.port("http_port"))
    words |= {
        "PBXIM_MODE": settings.mode,
        "PBXIM_DATA": str(settings.data.resolve()),
        "PBXIM_HTTP": settings.base_url.removeprefix("http://"),
        "PBXIM_LOG_JSON": words.get("PBXIM_LOG_JSON", "0"),
    }
    if settings.sandbox and not settings.stripe_secret_key:
        keys = keys_of(settings.data / "payment_sandbox")
        base = f"http://127.0.0.1:{servers.port('payments_port')}"
        words |= {f"PBXIM_STRIPE_{name.upper()}": found for name, found in keys.items()}
        words |= {"PBXIM_STRIPE_API_BASE": base, "PBXIM_STRIPE_SCRIPT_URL": f"{base}/v3/"}
    return words, own


def as_shell(environment: dict[str, str]) -> str:
    """For pbxim and nameko shell: ``set -a; . var/distributed/up/environment``."""
    return "".join(f"{name}={shlex.quote(found)}\n" for name, found in environment.items())


def watched(one: Program, servers: Servers) -> Program:
    """The same program, saying how it is on a port of its own."""
    if one.once or one.name == "payments":
        return one
    place = f"127.0.0.1:{servers.port(f'health:{one.name}')}"
    return replace(one, environment={**one.environment, "PBXIM_HEALTH": place})
