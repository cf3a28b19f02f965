"""What a sandbox starts with: the project's stock, one account, one person of the back office.

Passwords and keys are made by chance on the first start and written to ``demo.json`` (mode 0600).
Later starts only write down where the product answers.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from services.gateway import keys, passwords, tokens
from services.gateway.app import key_wrapper
from services.gateway.people import NewUser, People
from services.gateway.state import api_key, rows, user
from services.gateway.surroundings import STAFF_ACCOUNT
from shared.refusals import refusal
from shared.rpc import OWNER, STAFF, SYSTEM, CallContext, Client
from shared.runtime import Runtime
from shared.stores import Store

_STOCK = Path(__file__).parent / "data" / "stock.csv"
_PAUSE_SECONDS = 0.05
_CUSTOMER = ("demo@example.com", "Demo Company")
_USER, _KEY = "user_demo_", "key_demo_"
_STAFF = ("staff@example.com", "Demo Staff")


def prepare_demo(gateway: Runtime, client: Client) -> None:
    """Loads the stock and opens the demo account, once; writes ``demo.json``."""
    settings = gateway.settings
    path = settings.data / "demo.json"
    known = json.loads(path.read_text()) if path.exists() else None
    demo = known or _first_start(gateway, client)
    here = {"base_url": settings.base_url, "payments_url": settings.stripe_api_base or ""}
    write_private(path, demo | here)


def refuse_demo(state: Store) -> None:
    """For live mode: raises ``setting_invalid`` for data in which demo accounts were made, whose
    passwords lie in a file."""
    made = rows(state, select(user.c.id).where(user.c.id.startswith(_USER, autoescape=True)))
    made += rows(state, select(api_key.c.id).where(api_key.c.id.startswith(_KEY, autoescape=True)))
    if made:
        detail = "PBXIM_DATA holds demo accounts; allowed in live mode is a folder without them."
        raise refusal("setting_invalid", detail, param="PBXIM_DATA")


def _first_start(gateway: Runtime, client: Client) -> dict[str, str]:
    _load_stock(client)
    account = client.call(
        "billing",
        "open_account",
        _as_system("demo account"),
        name=_CUSTOMER[1],
        email=_CUSTOMER[0],
        country="US",
    )
    return _person(gateway, account["id"], OWNER, *_CUSTOMER) | {
        f"staff_{name}": found
        for name, found in _person(gateway, STAFF_ACCOUNT, STAFF, *_STAFF).items()
    }


def _as_system(key: str) -> CallContext:
    return CallContext(
        account_id=STAFF_ACCOUNT, actor="system", roles=(SYSTEM,), correlation_id="demo", key=key
    )


def _load_stock(client: Client) -> None:
    csv = _STOCK.read_text()
    asked = client.call("inventory", "import_stock", _as_system("demo stock"), csv=csv)
    shown = -1
    while True:
        job = client.call("inventory", "get_job", _as_system("demo stock"), job_id=asked["job_id"])
        shown = _show_progress(job, shown)
        if job["status"] in {"done", "failed"}:
            return
        time.sleep(_PAUSE_SECONDS)


def _show_progress(job: Mapping[str, Any], shown: int) -> int:
    # On a terminal the line is written over; elsewhere there is one for each change.
    done: int = job["succeeded"] + job["failed"]
    if done != shown:
        over = sys.stderr.isatty()
        begin, end = ("\r", "") if over and job["status"] != "done" else ("\r" * over, "\n")
        said = f"{begin}  Loading stock: {done} of {job['total']} blocks"
        print(said, end=end, file=sys.stderr, flush=True)  # noqa: T201
    return done


def _person(runtime: Runtime, account_id: str, role: str, email: str, name: str) -> dict[str, str]:
    now = int(runtime.machine.now().timestamp())
    password = secrets.token_urlsafe(15)
    people = People(
        runtime.state,
        key_wrapper(runtime),
        runtime.settings.public_url,
        passwords.hashing_places(),
    )
    new = NewUser(id=f"{_USER}{role}", account_id=account_id, email=email, name=name, role=role)
    people.set_password(tokens.INVITATION, people.invite_by_link(new, now), password, now)
    key = keys.make(
        runtime.state,
        f"{_KEY}{role}",
        account_id=account_id,
        role=role,
        name="demo",
        now=now,
    )
    return {"api_key": key, "email": email, "password": password}


def write_private(path: Path, content: object) -> None:
    """Writes JSON that only its owner can read, whole or not at all."""
    unfinished = path.with_suffix(".new")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, indent=2)
    unfinished.replace(path)
