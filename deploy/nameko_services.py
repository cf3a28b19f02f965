"""The services as nameko services, made from the plain classes. Only this file and
``nameko_links.py`` know nameko.

``nameko run --config deploy/nameko.yaml deploy.nameko_services:OrdersService`` starts one; several
may be named, and may run in several processes. A process answers calls; policies, read models and
effects run in the runner. Docs: ``docs/how-to/call-a-service.md``.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from eventlet import patcher
from nameko import exceptions as nameko_exceptions
from nameko.extensions import DependencyProvider

from deploy import wire
from deploy.answering import answered
from deploy.clock_process import ClockProcess
from deploy.clock_service import ClockService as PlainClock
from deploy.health import Health, start_health
from deploy.interpreter import tune_interpreter
from deploy.metrics import Calls
from deploy.nameko_links import Entry, Links
from deploy.processes import when_there
from deploy.serving import Serving
from deploy.waiting import wait_briefly
from services.billing.service import Billing
from services.inventory.service import InventoryService as PlainInventory
from services.orders.service import OrdersService as PlainOrders
from services.porting.service import PortingService as PlainPorting
from services.routing.service import RoutingService as PlainRouting
from shared import config, failpoints, logging, otlp
from shared.errors import PbxError
from shared.rpc import CallContext, methods
from shared.runtime import Runtime

_log = logging.logger("rpc")

# From now on our errors come back as themselves in every nameko caller of this process.
nameko_exceptions.registry.update(wire.BY_PATH)


T = TypeVar("T")


def _once(make: Callable[[], T]) -> Callable[[], T]:
    """What is made once per process, also when all services are set up at the same time: whoever
    waits for a socket lets the next one begin."""
    lock = threading.Lock()
    made: list[T] = []

    @functools.wraps(make)
    def get() -> T:
        if made:
            return made[0]
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get


class Node(DependencyProvider):  # type: ignore[misc]  # nameko ships no types.
    """Gives each worker the methods of the plain service. What the services stand on is built once
    per process, by the first of them that is set up; importing this module builds nothing."""

    def __init__(self, name: str, plain: Callable[[Runtime], object]) -> None:
        super().__init__()
        self._name = name
        self._plain = plain
        self._methods: Mapping[str, Callable[..., Any]] = {}

    def setup(self) -> None:
        """The moment that nameko has for connecting."""
        self._methods = methods(self._plain(serving().runtime(self._name)))
        _health()

    def get_dependency(self, _worker_ctx: Any) -> Mapping[str, Callable[..., Any]]:
        """The callable methods of the plain service, by name."""
        serving().learn_time()
        return self._methods


class ClockNode(Node):
    """The test clock, and a thread of the container that puts it forward."""

    def __init__(self) -> None:
        super().__init__(PlainClock.name, lambda _: object())
        self._process: ClockProcess | None = None

    def setup(self) -> None:
        """See ``Node.setup``."""
        try:
            self._process = ClockProcess(serving())
        except PbxError as error:  # A module is run as a whole: its other services need no clock.
            _log.warning("no_test_clock", reason=error.detail)
        else:
            self._methods = methods(self._process.service)
        _health()

    def start(self) -> None:
        """The moment when everything of the container is set up."""
        if self._process is not None:
            self.container.spawn_managed_thread(self._process.run, identifier="clock")


@_once
def serving() -> Serving:
    """What all services of this process stand on."""
    settings = config.load()
    logging.set_up(settings.log_level, as_json=settings.log_json, process=settings.process)
    otlp.start(settings.otlp, settings.process or "services")
    # It warns of every refusal, with a traceback; a caller who was refused is no news.
    logging.only_errors_of("nameko.containers")
    failpoints.arm(settings.failpoint, settings.process)
    tune_interpreter()
    wait_briefly(patcher.original("select"))
    # nameko itself ends the process on SIGTERM, also while it waits here.
    return cast("Serving", when_there(lambda: Serving(settings), threading.Event()))


@_once
def _calls() -> Calls:
    return Calls("server")


@_once
def _health() -> Health:
    settings = serving().ground.settings
    return start_health(settings, _status, _calls().collect, settings.process or "nameko")


def _status() -> dict[str, Any]:
    # Without its log it could not answer, without the broker nobody could ask.
    head = serving().ground.log.head()
    away = Links.away()
    return {"ready": not away, "broker": "away" if away else "ok", "away": away, "head": head}


def _entry(name: str, plain: Callable[..., Any]) -> Any:
    def call(self: Any, context: dict[str, Any] | None = None, **arguments: Any) -> Any:
        return answered(_calls(), self, name, context, arguments)

    call.__name__ = name
    call.__qualname__ = plain.__qualname__
    call.__doc__ = f"{inspect.getdoc(plain)}\n\n{_CONTEXT}"
    call.__wrapped__ = plain  # type: ignore[attr-defined]  # help() shows the plain arguments.
    return Entry.decorator(expected_exceptions=(PbxError,))(call)


_CONTEXT = """\
``context`` comes first: who calls, for which account (``account_id``, ``actor``, ``roles``,
``correlation_id``; ``key`` for commands). All other arguments are given by name."""


def nameko_class(name: str, plain: type, node: Node | None = None) -> Any:
    """A nameko service class with exactly those methods of the plain one that are marked ``@rpc``.
    The plain class is made with the runtime, as everywhere, or by its own ``node``."""
    marked = inspect.getmembers(plain, lambda found: getattr(found, "__rpc__", False))
    made = {method: _entry(method, function) for method, function in marked}
    about = {
        "name": name,
        "service": node or Node(name, plain),
        "__doc__": plain.__doc__,
        "__module__": __name__,
    }
    return type(f"{name.capitalize()}Service", (), about | made)


InventoryService = nameko_class("inventory", PlainInventory)
OrdersService = nameko_class("orders", PlainOrders)
RoutingService = nameko_class("routing", PlainRouting)
PortingService = nameko_class("porting", PlainPorting)
BillingService = nameko_class("billing", Billing)
ClockService = nameko_class(PlainClock.name, PlainClock, ClockNode())
ALL = (InventoryService, OrdersService, RoutingService, PortingService, BillingService)


def as_account(account_id: str, *, key: str = "", roles: tuple[str, ...] = ("owner",)) -> Any:
    """A call context as plain data, for ``nameko shell``: ``key`` makes a repeated command the same
    command."""
    from shared.ids import random_id

    context = CallContext(
        account_id=account_id,
        actor="operator:shell",
        roles=roles,
        correlation_id=random_id("req"),
        key=key,
    )
    return wire.decode(wire.encode(context))
