"""What goes wrong, by name, in the order of ``make faults``."""

from __future__ import annotations

from tests.faults.distributed.run import Scenario
from tests.faults.distributed.scenarios import killing, servers, stopping

ORDER: dict[str, Scenario] = {
    "fail-points": killing.at_every_point,
    "kill-each": killing.each_kind,
    "rolling-restart": stopping.rolling_restart,
    "broker-kill": servers.broker_killed,
    "database-kill": servers.database_killed,
}
