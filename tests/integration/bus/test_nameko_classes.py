"""The nameko classes offer exactly what the plain ones do: seen in a fresh interpreter, because
nameko is not for this process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from services.billing.service import Billing
from services.inventory.service import InventoryService
from services.orders.service import OrdersService
from services.porting.service import PortingService
from services.routing.service import RoutingService

ROOT = Path(__file__).parents[3]
PLAIN = {
    "inventory": InventoryService,
    "orders": OrdersService,
    "routing": RoutingService,
    "porting": PortingService,
    "billing": Billing,
}
PROGRAM = """
import inspect, json
from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR
from deploy.nameko_services import ALL

found = {}
for service in ALL:
    made = inspect.getmembers(service, lambda f: hasattr(f, ENTRYPOINT_EXTENSIONS_ATTR))
    found[service.name] = {
        name: [method.__doc__, list(inspect.signature(method).parameters)] for name, method in made
    }
print(json.dumps(found))
"""


def test_each_nameko_service_has_the_marked_methods_with_their_words_and_arguments() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    made = json.loads(done.stdout)

    marked = {
        service: {n for n, f in vars(plain).items() if getattr(f, "__rpc__", False)}
        for service, plain in PLAIN.items()
    }
    assert {service: set(methods) for service, methods in made.items()} == marked
    assert len(marked["orders"]) > 5
    described = [(doc, names) for methods in made.values() for doc, names in methods.values()]
    assert all("``context`` comes first" in doc for doc, _ in described)
    assert all(names[:2] == ["self", "ctx"] for _, names in described)
    assert made["orders"]["get_order"][0].startswith("One order. Raises ``order_unknown``.")
