"""The page docs/reference/events.md: every event on the bus, made from the code."""

from __future__ import annotations

import dataclasses
import inspect
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from deploy.ground import all_specs
from deploy.public_events import PUBLISHED, SERVICES, exchange_name, existing, public_fields
from shared.messages import EVENTS, Erased

_HEAD = """\
# Events on the bus

<!-- Made from deploy/public_events.py and the services' messages by scripts/make_reference.py. -->

The relay publishes these on RabbitMQ: topic exchange `<service>.events`, durable, routing key = the
event's type. nameko's `@event_handler("orders", "NumberPurchased")` binds to that as it is
(`examples/listen_to_purchases.py`). How it works: [the bus](../explanation/bus.md).

A message is JSON (`application/json`), persistent:

| field | meaning |
|---|---|
| `id` | the event's id, also the AMQP `message_id`; a repeated delivery has the same one |
| `type`, `version` | which form `data` has; a changed form has a new version |
| `position` | its place in the log; messages may overtake each other, positions tell the order |
| `occurred_at` | when it happened: business time, UTC |
| `account_id` | whose it is; empty where it is nobody's |
| `subjects` | whom it is about: `num_…`, `ord_…`, `e164:+…` |
| `data` | what is listed below; fields may be added without a new version |

Headers: `position`, `stream`, `stream_version`, `version`, `correlation_id`, `causation_id`,
`traceparent`; and as `nameko.correlation_id` and `nameko.traceparent`, which a nameko worker takes
into its context. Amounts are whole micros (1,260,000 = 1.26) with their currency. *Sealed*
fields are encrypted under a key of the account and of no use outside.
"""


def events_page() -> str:
    """The whole page."""
    all_specs()
    return _HEAD + "".join(_service(name) for name in SERVICES)


def _service(service: str) -> str:
    names = [n for n in PUBLISHED if PUBLISHED[n].service == service]
    there = [n for n in existing() if PUBLISHED[n].service == service]
    coming = [f"`{n}`" for n in names if n not in there]
    text = f"\n## `{exchange_name(service)}`\n" + "".join(map(_event, there))
    return text + (f"\nNames kept for later: {', '.join(coming)}.\n" if coming else "")


def _event(name: str) -> str:
    kind = EVENTS[name]
    hints = get_type_hints(kind.cls)
    rows = [
        f"| `{f.name}` | {_type(hints[f.name])}{_mark(f.name in kind.sealed_fields)} |\n"
        for f in public_fields(name)
    ]
    said = " ".join((inspect.getdoc(kind.cls) or "").replace("``", "`").split())
    head = f"\n### `{name}` (version {PUBLISHED[name].version})\n\n{said}\n"
    return f"{head}\n| `data` | type |\n|---|---|\n{''.join(rows)}"


def _mark(sealed: bool) -> str:  # noqa: FBT001  # Yes or no is the question.
    return ", sealed" if sealed else ""


def _type(hint: Any) -> str:
    if dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        inside = (f"`{f.name}`: {_type(hints[f.name])}" for f in dataclasses.fields(hint))
        return "{" + ", ".join(inside) + "}"
    if get_origin(hint) in {Union, UnionType}:
        arms = [a for a in get_args(hint) if a not in {NoneType, Erased}]
        return " or ".join([*map(_type, arms), *(["null"] if NoneType in get_args(hint) else [])])
    if get_origin(hint) is tuple:
        return f"list of {_type(get_args(hint)[0])}"
    names = {str: "text", int: "whole number", bool: "true or false", datetime: "time, UTC"}
    return names.get(hint, hint.__name__)
