"""``pbxim``: looking at a data folder from outside. stdout is data, stderr is talk.

It opens the log that ``PBXIM_LOG`` names and the stores of ``PBXIM_DATABASE``, else the files of
``PBXIM_DATA``, beside a running product: reading never disturbs it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.ground import open_log
from deploy.rebuild import rebuild
from deploy.staff import invite_staff
from deploy.stores import KINDS, RELAY, SERVICES, Kind, open_store
from shared import config, failpoints, logging
from shared.clock import MachineClock
from shared.codec import decode_meta
from shared.consumers import checkpoints, parking
from shared.errors import PbxError
from shared.eventlog import EventLog, Recorded, verifying
from shared.stores import Store

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
events = typer.Typer(no_args_is_help=True, help="What happened.")
audit = typer.Typer(no_args_is_help=True, help="Whether what is stored can be believed.")
parked = typer.Typer(no_args_is_help=True, help="Events that could not be handled.")
projections = typer.Typer(no_args_is_help=True, help="Read models.")
staff = typer.Typer(no_args_is_help=True, help="The people of the back office.")
for name, group in (
    ("events", events),
    ("audit", audit),
    ("parked", parked),
    ("projections", projections),
    ("staff", staff),
):
    app.add_typer(group, name=name)

_AT_ONCE = 1000
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """The command's entry point. Exit codes: 0 done, 1 refused or failed, 2 wrong usage."""
    try:
        app()
    except PbxError as error:
        _talk(f"pbxim: {error.detail or error.code} ({error.code})")
        sys.exit(1)


def _talk(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201  # The command line speaks by printing.


def _say(data: object, *, as_json: bool) -> None:
    text = json.dumps(data, default=str, sort_keys=True) if as_json else str(data)
    print(text)  # noqa: T201  # See above.


def _settings() -> config.Settings:
    return config.load({"PBXIM_MODE": "sandbox"} | config.environment())


def _data() -> Path:
    return _settings().data


def _log() -> EventLog:
    settings = _settings()
    path = settings.data / "log.db"
    if settings.log.startswith("sqlite:") and not path.exists():
        _talk(f"pbxim: there is no log at {path}. Start the product once, or set PBXIM_DATA.")
        raise typer.Exit(1)
    return open_log(settings)


def _shown(event: Recorded) -> dict[str, Any]:
    # Sealed fields stay sealed: the payload is shown as it is stored.
    meta = decode_meta(event.metadata)
    return {
        "position": event.position,
        "event_id": "evt_" + event.event_id.hex(),
        "stream": event.stream,
        "version": event.version,
        "type": event.type,
        "account_id": event.account_id,
        "occurred_at": meta.occurred_at.isoformat(),
        "actor": meta.actor,
        "subjects": list(meta.subjects),
        "payload": json.loads(event.payload),
    }


def _line(event: Recorded) -> str:
    payload = event.payload.decode()
    return f"{event.position:>8}  {event.type:<26} {event.stream:<32} {payload}"


@events.command("show")
def show_events(
    *,
    last: Annotated[bool, typer.Option("--last", help="Only the last event.")] = False,
    stream: Annotated[str, typer.Option(help="Only this stream.")] = "",
    after: Annotated[int, typer.Option(help="Behind this position.")] = 0,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Shows stored events, oldest first."""
    log = _log()
    everywhere = log.read_last(1) if last else log.read_all(after, limit)
    found = log.read_stream(stream) if stream else everywhere
    for event in found[:limit]:
        _say(_shown(event) if as_json else _line(event), as_json=as_json)


@events.command("tail")
def tail_events(
    *, count: Annotated[int, typer.Option("-n", help="How many.")] = 20, as_json: AsJson = False
) -> None:
    """Shows the last events."""
    log = _log()
    for event in log.read_last(count):
        _say(_shown(event) if as_json else _line(event), as_json=as_json)


@events.command("export")
def export_events() -> None:
    """Writes every event as a line of JSON."""
    log = _log()
    after = 0
    while some := log.read_all(after, _AT_ONCE):
        for event in some:
            _say(_shown(event), as_json=True)
        after = some[-1].position


@audit.command("verify")
def verify_log(*, as_json: AsJson = False) -> None:
    """Looks through the whole log, and at every consumer's place in it. Ends with 1 if something
    does not fit; every such thing is a line that begins with its position."""
    log = _log()
    found = [*verifying.findings(log), *_misplaced(log)]
    for one in found:
        line = f"{one.position:>8}  {one.where:<32} {one.problem}"
        _say(asdict(one) if as_json else line, as_json=as_json)
    _talk(f"{log.head()} is the last position; {len(found)} things do not fit.")
    if found:
        raise typer.Exit(1)


def _misplaced(log: EventLog) -> Iterator[verifying.Finding]:
    for kind in KINDS:
        for store in _stores(kind):
            store.create(checkpoints.CHECKPOINTS)
            with store.read() as connection:
                places = checkpoints.everyones(connection)
            for name, place in places:
                try:
                    checkpoints.verify(place, log)
                except PbxError as error:
                    yield verifying.Finding(place.position, name, error.detail)


@parked.command("list")
def list_parked(*, as_json: AsJson = False) -> None:
    """Lists what was put aside, oldest first."""
    for row in _parked():
        _say(row if as_json else _parked_line(row), as_json=as_json)


def _parked() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for state in _stores("state"):
        state.create(parking.PARKING)
        with state.read() as connection:
            found += parking.listed(connection)
    return sorted(found, key=lambda row: (row["position"], row["consumer"]))


def _stores(kind: Kind) -> Iterator[Store]:
    # In files all services share one; else each has its own, and the relay a state.
    settings = _settings()
    names = (*SERVICES, RELAY) if kind == "state" else SERVICES
    for name in names if settings.database else names[:1]:
        store = open_store(settings, kind, name)
        yield store
        store.close()


def _parked_line(row: dict[str, Any]) -> str:
    return f"{row['consumer']:<20} {row['position']:>8} {row['status']:<9} {row['error']}"


@parked.command("retry")
def retry_parked(consumer: str, position: int) -> None:
    """Lets a parked event be tried again at once."""
    found = False
    for state in _stores("state"):
        state.create(parking.PARKING)
        with state.write() as connection:
            found |= bool(parking.retry(connection, consumer, position, MachineClock().now()))
    if not found:
        _talk(f"pbxim: {consumer} has nothing parked at {position}; see pbxim parked list.")
        raise typer.Exit(1)


@projections.command("status")
def show_projections(*, as_json: AsJson = False) -> None:
    """Says how far each read model is."""
    head = _log().head()
    for name, position in _positions():
        row = {"projection": name, "position": position, "lag": head - position}
        _say(row if as_json else f"{name:<24} {position:>8} {head - position:>8}", as_json=as_json)


def _positions() -> Iterator[tuple[str, int]]:
    for views in _stores("views"):
        views.create(checkpoints.CHECKPOINTS)
        with views.read() as connection:
            yield from checkpoints.positions(connection)


@projections.command("rebuild")
def rebuild_projections(
    *,
    only: Annotated[list[str] | None, typer.Option(help="Only this one; repeatable.")] = None,
    afresh: Annotated[bool, typer.Option("--afresh", help="Not from where one was ended.")] = False,
) -> None:
    """Builds read models anew from the log alone, also beside a product that runs: whoever looks at
    them sees the old ones until the new ones have caught up. Ended in the middle, the next run goes
    on from there."""
    settings = _settings()
    logging.set_up("warning", as_json=None)
    failpoints.arm(settings.failpoint, settings.process)
    with typer.progressbar(length=1, label="events", show_pos=True, file=sys.stderr) as bar:

        def told(done: int, of: int) -> None:
            bar.length = of
            bar.update(done - bar.pos)

        built = list(rebuild(settings, only or (), told, afresh=afresh))
    for one in built:
        what = "is read now" if one.swapped else "is prepared for the runner of this version"
        _say(f"{one.name:<24} {one.position:>8} {what}", as_json=False)
    _talk(f"pbxim: built {len(built)} read models anew.")


@staff.command("invite")
def invite_staff_member(
    email: str,
    *,
    name: Annotated[str, typer.Option(help="How the person is called.")] = "",
    as_json: AsJson = False,
) -> None:
    """Invites somebody to the back office: prints the link with which to choose a password."""
    link = invite_staff(_settings(), email, name)
    _say({"link": link} if as_json else link, as_json=as_json)
    _talk("The link works once, for 7 days. Who has it is staff: hand it over in person.")


@app.command("migrate")
def migrate_database() -> None:
    """Brings the databases that PBXIM_LOG and PBXIM_DATABASE name to this version; name their owner
    there."""
    from deploy.migrations import migrate, migrate_stores

    settings = _settings()
    if not settings.log.startswith("postgresql:"):
        _talk("pbxim: the product itself makes what this log needs. There is nothing to do.")
    else:
        _say(f"log {migrate(settings.log)}", as_json=False)
    if settings.database is not None:
        _say(f"stores {migrate_stores(settings.database)} schemas", as_json=False)


@app.command("demo")
def show_demo(*, as_json: AsJson = False) -> None:
    """Shows how to sign in to the sandbox."""
    path = _data() / "demo.json"
    if not path.exists():
        _talk(f"pbxim: there is no {path}. Start the sandbox with: make run")
        raise typer.Exit(1)
    demo = json.loads(path.read_text())
    for key, found in demo.items() if not as_json else ():
        _say(f"{key:<16} {found}", as_json=False)
    if as_json:
        _say(demo, as_json=True)


if __name__ == "__main__":
    main()
