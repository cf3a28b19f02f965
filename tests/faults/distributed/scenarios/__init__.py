"""What goes wrong, by name, in the order of ``make faults``."""

from __future__ import annotations

from tests.faults.distributed.run import Scenario
from tests.faults.distributed.scenarios import (
    biting,
    blocked,
    clocks,
    customers,
    data,
    doubled,
    full_disk,
    killing,
    limits,
    network,
    poison,
    rebuilt,
    rebuilt_beside,
    servers,
    stopping,
    tampered,
)

ORDER: dict[str, Scenario] = {
    "fail-points": killing.at_every_point,
    "kill-each": killing.each_kind,
    "rolling-restart": stopping.rolling_restart,
    "all-at-once": killing.all_at_once,
    "frozen": stopping.frozen,
    "two-of-each": doubled.two_of_each,
    "stand-by": doubled.stand_by,
    "broker-kill": servers.broker_killed,
    "broker-away": servers.broker_away,
    "hub-blocked": blocked.hub_blocked,
    "memory-alarm": servers.memory_alarm,
    "database-kill": servers.database_killed,
    "database-away": servers.database_away,
    "statement-timeout": limits.statement_timeout,
    "queue-deleted": customers.queue_deleted,
    "same-key": customers.same_key,
    "payments-misbehave": customers.payments_misbehave,
    "clocks-jump": clocks.clocks_jump,
    "slow-transactions": data.slow_transactions,
    "network": network.network,
    "rebuilt": rebuilt.rebuilt,
    "rebuilt-beside": rebuilt_beside.rebuilt_beside,
    "restored": data.restored,
    "poison": poison.poison,
    "always-raising": poison.raising,
    "long-run": killing.long_run,
}
# On a system of its own, with a small disk for its database.
ON_A_SMALL_DISK: dict[str, Scenario] = {"full-disk": full_disk.full_disk}
# Each on a system of its own, which may be of no use afterwards.
ON_ITS_OWN: dict[str, Scenario] = {
    "tampered": tampered.tampered,
    "older-log": data.older_log,
}
# With a protection off, and as what that has to be noticed.
BITING: dict[str, tuple[Scenario, str]] = {
    "no-key": (biting.no_key, "doubled"),
    "no-payment-key": (biting.no_payment_key, "doubled"),
    "no-fence": (doubled.unfenced, "wrong"),
    "no-confirms": (biting.no_confirms, "lost"),  # Last: what is lost stays lost.
}
