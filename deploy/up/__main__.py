"""``make up``, ``make down``, ``make status``: ``python -m deploy.up [up|down|status]``."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from deploy.ground import make_folder
from deploy.up.looking import in_words, is_alive, processes, ready, running
from deploy.up.plan import programs
from deploy.up.ports import is_taken
from deploy.up.running import say, supervise
from deploy.up.servers import Servers, write_secret
from deploy.up.supervisor import configuration
from deploy.up.told import as_shell, told, watched
from shared import config
from shared.config import Settings
from shared.errors import PbxError
from shared.live import BILLING, require
from shared.sealing import load_key_file

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.1
Together = Annotated[
    bool, typer.Option("--together", help="One process for all services, one for all runners.")
]


@app.command("up")
def up(*, together: Together = False) -> None:
    """Starts everything, prints all logs in one stream, ends with Ctrl-C or ``make down``."""
    settings = _settings()
    require(settings, BILLING)
    make_folder(settings)
    folder = settings.data / "up"
    (folder / "log").mkdir(mode=0o700, parents=True, exist_ok=True)
    if running(folder):
        say("pbxim: it runs already (make status, make down).")
        raise typer.Exit(1)
    _refuse_taken(settings, folder)
    load_key_file(settings.key_file, create=settings.sandbox)  # Else several would make it at once.
    environment, servers = told(settings, folder)
    own = programs(
        sandbox=settings.sandbox,
        together=together,
        own_database=settings.database is None,
        own_payments=settings.stripe_secret_key is None,
    )
    plan = [*servers, *(watched(one, Servers(folder)) for one in own)]
    write_secret(folder / "environment", as_shell(environment))
    file = folder / "supervisord.conf"
    write_secret(file, configuration(folder, plan, environment))
    raise typer.Exit(supervise(file, settings, environment["PBXIM_HTTP"], folder))


@app.command("down")
def down() -> None:
    """Ends what ``up`` started, in order; returns when it has ended."""
    pid = running(_settings().data / "up")
    if pid is None:
        say("pbxim: nothing runs.")
        return
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _STOP_SECONDS
    while is_alive(pid):
        if time.monotonic() > end:
            say(f"pbxim: process {pid} does not end; look at make status.")
            raise typer.Exit(1)
        time.sleep(_LOOK_SECONDS)


@app.command("status")
def status(*, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Says which processes run, and what the gateway says of the read models."""
    settings = _settings()
    folder = settings.data / "up"
    if running(folder) is None:
        say("pbxim: nothing runs. Start it with: make up")
        raise typer.Exit(1)
    shown = processes(folder)
    found = ready(json.loads((folder / "up.json").read_text())["url"])
    if as_json:
        print(json.dumps({"processes": shown, "ready": found}))  # noqa: T201
        return
    for name, words in shown.items():
        print(f"{name:<18} {words}")  # noqa: T201
    print(f"{'ready':<18} {in_words(found)}")  # noqa: T201


@app.command("forget")
def forget() -> None:
    """Deletes the database of ``up``'s own PostgreSQL. Everything in it is lost."""
    folder = _settings().data / "up"
    if running(folder):
        say("pbxim: it runs. End it first: make down.")
        raise typer.Exit(1)
    if (folder / "servers.json").exists():
        Servers(folder).forget()
        (folder / "servers.json").unlink()


def _settings() -> Settings:
    # Not the folder of make run: what belongs to one log means nothing to another.
    ours = {"PBXIM_MODE": "sandbox", "PBXIM_DATA": "var/distributed"}
    return config.load(ours | config.environment())


def _refuse_taken(settings: Settings, folder: Path) -> None:
    if settings.port and is_taken(settings.host, settings.port):
        place = f"{settings.host}:{settings.port}"
        say(f"pbxim: {place} is in use. Set PBXIM_HTTP to another host:port.")
        raise typer.Exit(1)
    if taken := Servers(folder).taken():
        ports = ", ".join(map(str, taken))
        say(f"pbxim: of the ports in {folder}/servers.json these are in use: {ports}.")
        say("Something of an earlier start still runs, or another program took them: end it, or")
        say("write other ports into that file.")
        raise typer.Exit(1)


def main() -> None:
    """The command's entry point."""
    try:
        app()
    except PbxError as error:
        say(f"pbxim: {error.detail} ({error.code})")
        sys.exit(1)


if __name__ == "__main__":
    main()
