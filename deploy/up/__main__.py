"""``make up``, ``make down``, ``make status``: ``python -m deploy.up [up|down|status]``."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from deploy.demo import write_private
from deploy.ground import make_folder
from deploy.payments import keys_of
from deploy.up.plan import Program, programs
from deploy.up.ports import is_taken
from deploy.up.servers import Servers, write_secret
from deploy.up.supervisor import ROOT, configuration
from shared import config
from shared.config import Settings
from shared.errors import PbxError
from shared.sealing import load_key_file

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
_READY_SECONDS = 180.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.1
Together = Annotated[
    bool, typer.Option("--together", help="One process for all services, one for all runners.")
]


@app.command("up")
def up(*, together: Together = False) -> None:
    """Starts everything, prints all logs in one stream, ends with Ctrl-C or ``make down``."""
    settings = _settings()
    make_folder(settings)
    folder = settings.data / "up"
    (folder / "log").mkdir(mode=0o700, parents=True, exist_ok=True)
    if _running(folder):
        _say("pbxim: it runs already (make status, make down).")
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
    plan = [*servers, *(_watched(one, Servers(folder)) for one in own)]
    write_secret(folder / "environment", _as_shell(environment))
    file = folder / "supervisord.conf"
    write_secret(file, configuration(folder, plan, environment))
    raise typer.Exit(_supervise(file, settings, environment["PBXIM_HTTP"], folder))


@app.command("down")
def down() -> None:
    """Ends what ``up`` started, in order; returns when it has ended."""
    pid = _running(_settings().data / "up")
    if pid is None:
        _say("pbxim: nothing runs.")
        return
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _STOP_SECONDS
    while _alive(pid):
        if time.monotonic() > end:
            _say(f"pbxim: process {pid} does not end; look at make status.")
            raise typer.Exit(1)
        time.sleep(_LOOK_SECONDS)


@app.command("status")
def status(*, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Says which processes run, and what the gateway says of the read models."""
    settings = _settings()
    folder = settings.data / "up"
    if _running(folder) is None:
        _say("pbxim: nothing runs. Start it with: make up")
        raise typer.Exit(1)
    shown = _processes(folder)
    ready = _ready(json.loads((folder / "up.json").read_text())["url"])
    if as_json:
        print(json.dumps({"processes": shown, "ready": ready}))  # noqa: T201
        return
    for name, words in shown.items():
        print(f"{name:<18} {words}")  # noqa: T201
    print(f"{'ready':<18} {_in_words(ready)}")  # noqa: T201


@app.command("forget")
def forget() -> None:
    """Deletes the database of ``up``'s own PostgreSQL. Everything in it is lost."""
    folder = _settings().data / "up"
    if _running(folder):
        _say("pbxim: it runs. End it first: make down.")
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
        _say(f"pbxim: {place} is in use. Set PBXIM_HTTP to another host:port.")
        raise typer.Exit(1)
    if taken := Servers(folder).taken():
        ports = ", ".join(map(str, taken))
        _say(f"pbxim: of the ports in {folder}/servers.json these are in use: {ports}.")
        _say("Something of an earlier start still runs, or another program took them: end it, or")
        _say("write other ports into that file.")
        raise typer.Exit(1)


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


def _as_shell(environment: dict[str, str]) -> str:
    # For pbxim and nameko shell: set -a; . var/distributed/up/environment
    return "".join(f"{name}={shlex.quote(found)}\n" for name, found in environment.items())


def _watched(one: Program, servers: Servers) -> Program:
    if one.once or one.name == "payments":
        return one
    place = f"127.0.0.1:{servers.port(f'health:{one.name}')}"
    return replace(one, environment={**one.environment, "PBXIM_HEALTH": place})


def _supervise(file: Path, settings: Settings, http: str, folder: Path) -> int:
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
    while not _ready(url).get("ready") or not _may_sign_in(settings):
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
    _say("\n".join([*lines, "  Ctrl-C or make down ends it.", ""]))


def _may_sign_in(settings: Settings) -> bool:
    return not settings.sandbox or (settings.data / "demo.json").exists()


def _processes(folder: Path) -> dict[str, str]:
    program = Path(sys.executable).with_name("supervisorctl")
    command = [str(program), "-c", str(folder / "supervisord.conf"), "status"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip()]
    return {name.rpartition(":")[2]: rest.strip() for name, rest in lines}


def _ready(url: str) -> dict[str, Any]:
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


def _in_words(ready: dict[str, Any]) -> str:
    if not ready:
        return "no: the gateway does not answer"
    behind = [f"{n} {c['lag']}" for n, c in ready.get("consumers", {}).items() if c.get("lag")]
    silent = [f"{name} is silent" for name in ready.get("silent_runners", [])]
    failed = [n for n, c in ready.get("consumers", {}).items() if c.get("failure")]
    words = ["yes" if ready.get("ready") else "no", *silent]
    words += [f"stopped: {', '.join(failed)}"] if failed else []
    words += [f"behind: {', '.join(behind)}"] if behind else []
    return "; ".join(words)


def _running(folder: Path) -> int | None:
    """The supervising process, which outlives us where we are killed."""
    try:
        pid = int((folder / "supervisord.pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if _alive(pid) else None


def _alive(pid: int) -> bool:
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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # To whoever started it.


def main() -> None:
    """The command's entry point."""
    try:
        app()
    except PbxError as error:
        _say(f"pbxim: {error.detail} ({error.code})")
        sys.exit(1)


if __name__ == "__main__":
    main()
