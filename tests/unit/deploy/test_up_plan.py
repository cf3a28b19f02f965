"""What supervisord is told by ``make up``."""

from __future__ import annotations

import configparser
from pathlib import Path

from deploy.up.plan import SERVERS, Program, programs
from deploy.up.supervisor import configuration, control

SERVICES = ("inventory", "orders", "routing", "porting", "billing")


def told(*chosen: Program, folder: Path = Path("/data/up"), **environment: str) -> dict[str, str]:
    """The section of the first program, as supervisord reads it."""
    parser = configparser.RawConfigParser()
    parser.read_string(configuration(folder, chosen, environment))
    return dict(parser[f"program:{chosen[0].name}"])


def test_every_service_has_a_process_and_a_runner_and_sandbox_a_clock_and_payments() -> None:
    names = [one.name for one in programs(sandbox=True, together=False)]
    live = [one.name for one in programs(sandbox=False, together=False)]

    runners = [f"{service}-runner" for service in SERVICES]
    both = ["migrate", "payments", *SERVICES, "clock", *runners, "relay", "gateway"]
    assert names == both
    assert live == [name for name in both if name not in {"payments", "clock"}]


def test_together_there_is_one_process_for_all_services_and_one_for_all_runners() -> None:
    found = {one.name: one for one in programs(sandbox=True, together=True)}

    assert list(found) == ["migrate", "payments", "services", "runners", "relay", "gateway"]
    assert found["runners"].command[-5:] == SERVICES
    assert [word.rpartition(":")[2] for word in found["services"].command[4:]] == [
        *(f"{service.capitalize()}Service" for service in SERVICES),
        "ClockService",
    ]


def test_a_password_with_signs_that_mean_something_arrives_as_it_is() -> None:
    section = told(Program("relay", ("relay",)), PBXIM_AMQP='amqp://u:50%"x@h/')

    # supervisord takes %% for %, and \" within quotes for ".
    assert 'PBXIM_AMQP="amqp://u:50%%\\"x@h/"' in section["environment"]
    assert 'PBXIM_PROCESS="relay"' in section["environment"]


def test_servers_are_not_told_our_settings_and_say_what_they_say_into_files() -> None:
    server = Program("postgresql", ("postgres",), SERVERS, user="postgres", quiet=True)
    section = told(server, PBXIM_AMQP="amqp://secret@h/")

    assert "secret" not in section["environment"]
    assert section["stdout_logfile"] == "/data/up/log/postgresql.log"
    assert section["user"] == "postgres"


def test_what_runs_is_started_again_and_what_is_done_is_not() -> None:
    assert told(Program("relay", ("relay",)))["autorestart"] == "true"
    assert told(Program("migrate", ("migrate",), once=True))["autorestart"] == "unexpected"


def test_services_end_before_the_servers_they_stand_on() -> None:
    parser = configparser.RawConfigParser()
    server = Program("postgresql", ("postgres",), SERVERS)
    parser.read_string(
        configuration(Path("/d"), [server, *programs(sandbox=True, together=True)], {})
    )

    groups = {
        name: (int(parser[name]["priority"]), parser[name]["programs"].split(","))
        for name in parser.sections()
        if name.startswith("group:")
    }
    order = [names for _, names in sorted(groups.values())]
    assert order == [
        ["postgresql"],
        ["migrate", "payments"],
        ["services", "runners", "relay", "gateway"],
    ]


def test_the_socket_of_a_folder_far_down_has_a_short_path() -> None:
    near, far = Path("/data/up"), Path("/data") / ("x" * 120) / "up"

    assert control(near) == "/data/up/control"
    assert len(control(far)) < 100
    assert control(far) == control(far) != control(far / "other")
