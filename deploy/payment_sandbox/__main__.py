"""`python -m deploy.payment_sandbox`: one line of JSON with the port, then answers until told."""

from __future__ import annotations

import argparse
import json
import logging
import os
import select
import signal
import sqlite3
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import waitress

from deploy.payment_sandbox.api import Sandbox
from deploy.payment_sandbox.errors import Malformed
from deploy.payment_sandbox.faults import Faults
from deploy.payment_sandbox.settings import DEFAULT_EMBEDDERS, Settings
from deploy.payment_sandbox.store import Store
from deploy.payment_sandbox.webhooks import Deliverer

HOST = "127.0.0.1"
# More than any caller has workers: a delayed request holds one of them, the others go on.
THREADS = 64
SETTLE_SECONDS = 0.3


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("payment_sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="folder of the book")
    parser.add_argument("--secret-key", required=True, help="sk_test_…")
    parser.add_argument("--publishable-key", required=True, help="pk_test_…")
    parser.add_argument("--webhook-url", help="where events are posted")
    parser.add_argument("--webhook-secret", help="what they are signed with")
    parser.add_argument("--embedder", action="append", help="origin that may show the card form")
    parser.add_argument("--faults", help="rules as JSON, or @file; see faults.py")
    parser.add_argument(
        "--parent-pipe", action="store_true", help="end as soon as stdin is closed by the parent"
    )
    return parser.parse_args(given)


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        options.data,
        options.secret_key,
        options.publishable_key,
        options.webhook_url,
        options.webhook_secret,
        tuple(options.embedder or DEFAULT_EMBEDDERS),
    )


def _faults(text: str | None) -> Faults:
    if not text:
        return Faults()
    return Faults(json.loads(Path(text[1:]).read_text() if text.startswith("@") else text))


def _end(store: Store) -> None:
    # A request that sleeps in a fault must not hold up the end; a commit may finish.
    store.settle(SETTLE_SECONDS)
    os._exit(0)


def _end_with_parent(store: Store) -> None:
    # The pipe closes when the parent dies, however it dies, on every system.
    while sys.stdin.buffer.read(1):
        pass
    _end(store)


def serve(settings: Settings, faults: Faults, port: int, *, parent_pipe: bool) -> None:
    """Open the book, announce the port on stdout, answer until SIGTERM or the parent's end."""
    store = Store(settings.data)
    deliverer = None
    if settings.webhook_url and settings.webhook_secret:
        deliverer = Deliverer(store, settings.webhook_url, settings.webhook_secret)
    wake = [deliverer.wake] if deliverer else []
    app = Sandbox(settings, store, faults, *wake)
    server = waitress.create_server(
        app,
        host=HOST,
        port=port,
        threads=THREADS,
        connection_limit=1000,
        asyncore_use_poll=hasattr(select, "poll"),
        ident=None,
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        _end(store)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if parent_pipe:
        threading.Thread(target=_end_with_parent, args=(store,), daemon=True).start()
    if deliverer:
        deliverer.start()
    print(json.dumps({"port": server.effective_port}), flush=True)  # noqa: T201
    server.run()


def main(given: Sequence[str] | None = None) -> int:
    """Exit code 0, 1 if the book or the port can't be opened, 2 for wrong settings."""
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    options = _arguments(given)
    try:
        settings, faults = _settings(options), _faults(options.faults)
    except (ValueError, Malformed) as error:
        sys.stderr.write(f"payment_sandbox: {error}\n")
        return 2
    try:
        serve(settings, faults, options.port, parent_pipe=options.parent_pipe)
    except (OSError, sqlite3.Error) as error:
        sys.stderr.write(f"payment_sandbox: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
