"""The Compose file, without an engine: well formed, and of one mind with the product."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.public_events import exchange_name
from deploy.secrets_folder import GIVEN, SecretsFolder
from deploy.topology import EXCHANGES, RPC_EXCHANGE
from deploy.up.plan import programs
from shared import config, live
from tests.unit.containers.compose import (
    FILE,
    ROOT,
    SERVERS,
    load,
    processes,
    secret_names,
    services,
)

DEFINITIONS = ROOT / "deploy/rabbitmq/definitions.json"
KEYS = {
    "stripe_secret_key": "sk_live_1",
    "stripe_publishable_key": "pk_live_1",
    "stripe_webhook_secret": "whsec_1",
    "smtp": "smtps://me:hush@mail.example.com:465",
}
PROCESSES = sorted(processes())
LIVE = [name for name in PROCESSES if name != "clock"]  # The clock is for sandboxes.


def test_it_is_a_compose_file_by_the_specification_s_schema() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*checker, str(FILE)], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_it_has_every_process_that_make_up_starts_but_the_payment_sandbox() -> None:
    ours = {program.name for program in programs(sandbox=True, together=False)}

    assert set(processes()) == ours - {"payments"}


@pytest.mark.parametrize("name", PROCESSES)
def test_every_command_names_what_there_is(name: str) -> None:
    command = services()[name]["command"]
    match command:
        case ["nameko", "run", "--config", file, target]:
            module, _, service = target.partition(":")
            assert (ROOT / file).is_file()
            # Importing it would bring nameko into this process.
            source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
            assert re.search(rf"^{service} = ", source, re.MULTILINE)
        case ["python", "-m", module, *_]:
            assert importlib.util.find_spec(module)
        case ["pbxim", verb]:
            cli = importlib.import_module("deploy.cli")
            assert verb in {one.name for one in cli.app.registered_commands}
        case _:
            pytest.fail(f"{name}: {command}")


@pytest.mark.parametrize("name", PROCESSES)
def test_every_setting_is_one(name: str) -> None:
    environment = services()[name]["environment"]

    assert config.unknown(environment) == []
    assert {n for n in environment if not n.startswith("PBXIM_")} <= {"PYTHONWARNINGS"}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    made = SecretsFolder(folder)
    made.fill()
    assert made.missing() == list(GIVEN)
    for name, key in KEYS.items():
        (folder / name).write_text(key)
    assert made.missing() == []
    return folder


@pytest.mark.parametrize("name", LIVE)
def test_every_process_starts_with_its_settings_in_live_mode(name: str, secrets: Path) -> None:
    environment = {
        key: str(text).replace("/run/secrets", str(secrets))
        for key, text in services()[name]["environment"].items()
    }

    settings = config.load(environment)

    assert settings.mode == "live"
    assert settings.log == settings.database
    assert settings.log.startswith("postgresql://pbxim")
    assert "sslmode=verify-full" in settings.log
    assert settings.amqp is None or settings.amqp.startswith("amqps://")


def test_the_clock_starts_in_a_sandbox_with_stripe_s_test_keys(
    secrets: Path, tmp_path: Path
) -> None:
    for name, key in KEYS.items():
        (tmp_path / name).write_text(key.replace("_live_", "_test_"))
    environment = {}
    for key, text in services()["clock"]["environment"].items():
        place = tmp_path if "/stripe_" in text else secrets
        environment[key] = text.replace("/run/secrets", str(place))

    assert config.load(environment | {"PBXIM_MODE": "sandbox"}).sandbox
    # By its own default it would be live, and refuse.
    assert environment["PBXIM_MODE"] == "live"


@pytest.mark.parametrize("name", PROCESSES)
def test_every_secret_that_a_setting_names_is_mounted_and_no_other(name: str) -> None:
    one = services()[name]
    named = {
        text.removeprefix("/run/secrets/")
        for text in one["environment"].values()
        if str(text).startswith("/run/secrets/")
    }

    assert set(secret_names(one)) == named | {"ca"}


def test_every_secret_is_declared_used_and_made(secrets: Path) -> None:
    declared = load()["secrets"]
    used = {name for one in services().values() for name in secret_names(one)}

    assert set(declared) == used
    for name, about in declared.items():
        assert about == {"file": f"./secrets/{name}"}
        assert (secrets / name).is_file(), name


@pytest.mark.parametrize("name", PROCESSES)
def test_stripe_s_keys_are_known_to_those_that_talk_to_it_and_to_nobody_else(name: str) -> None:
    needed = {"billing": live.BILLING, "billing-runner": live.BILLING, "gateway": live.CARD_FIELDS}
    given = {one for one in secret_names(services()[name]) if one.startswith("stripe_")}

    assert given == set(needed.get(name, ()))


def test_only_the_migration_knows_the_owner_of_the_database() -> None:
    knowing = {
        name
        for name, one in services().items()
        if {"database_owner", "log_owner"} & set(secret_names(one))
    }

    assert knowing == {"migrate"}


def test_every_configuration_file_is_there() -> None:
    found = load()
    used = {one["source"] for s in found["services"].values() for one in s.get("configs", [])}

    assert set(found["configs"]) == used
    for about in found["configs"].values():
        assert (FILE.parent / about["file"]).is_file()


@pytest.mark.parametrize("name", sorted(services()))
def test_every_image_is_pinned_bounded_and_started_again(name: str) -> None:
    one = services()[name]
    image, _, tag = one["image"].rpartition(":")

    assert image
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?(-\w+)?", tag), one["image"]
    assert one["mem_limit"]
    assert one["restart"] in {"unless-stopped", "on-failure:5"}
    assert one["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_may_do_no_more_than_it_must(name: str) -> None:
    one = services()[name]

    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in one
    assert one["depends_on"]["postgres"] == {"condition": "service_healthy"}


def test_nothing_but_the_gateway_is_reached_from_outside_and_that_on_this_machine_alone() -> None:
    published = {name: one["ports"] for name, one in services().items() if "ports" in one}

    assert published == {"gateway": ["127.0.0.1:8000:8000"]}


def test_what_needs_no_other_machine_cannot_reach_one() -> None:
    found = load()
    outside = {n for n, one in found["services"].items() if "outside" in one["networks"]}

    assert found["networks"]["inside"] == {"internal": True}
    assert outside == {"gateway", "billing", "billing-runner"}


def test_the_proxy_that_is_trusted_is_the_network_s_own_end() -> None:
    (network,) = load()["networks"]["outside"]["ipam"]["config"]

    assert services()["gateway"]["environment"]["PBXIM_TRUSTED_PROXY"] == network["gateway"]


@pytest.mark.parametrize("name", sorted(set(PROCESSES) - {"migrate"}))
def test_every_process_is_asked_whether_it_is_ready(name: str) -> None:
    one = services()[name]

    assert one["healthcheck"]["test"] == ["CMD", "python", "-m", "deploy.healthcheck", "/readyz"]
    assert one["environment"]["PBXIM_HEALTH"] == ("" if name == "gateway" else "0.0.0.0:9100")


def test_the_definitions_have_the_exchanges_that_the_product_declares() -> None:
    found = json.loads(DEFINITIONS.read_text())
    made = {
        (one["name"], one["type"], one["durable"], one["auto_delete"]) for one in found["exchanges"]
    }

    assert made == {(e.name, e.type, e.durable, e.auto_delete) for e in (*EXCHANGES, RPC_EXCHANGE)}
    assert {one["vhost"] for one in found["exchanges"]} == {"pbxim"}


def test_the_definitions_let_each_user_reach_its_own_things_and_no_others() -> None:
    found = json.loads(DEFINITIONS.read_text())
    permitted = {one["user"]: one for one in found["permissions"]}
    events = [exchange_name(s) for s in ("inventory", "orders", "routing", "porting", "billing")]
    queue, reply = "rpc-orders", "rpc.reply-pool-0f8fad5b-d9cb-469f-a165-70867728950e"
    allowed = {
        "pbxim_relay": events,
        "pbxim_services": ["nameko-rpc", queue],
        "pbxim_gateway": ["nameko-rpc", reply],
    }

    for user, names in allowed.items():
        pattern = re.compile(permitted[user]["write"])
        reached = [n for n in (*events, "nameko-rpc", queue, reply) if pattern.search(n)]
        assert reached == names
        assert permitted[user]["configure"] == permitted[user]["write"]
    assert permitted["pbxim_relay"]["read"] == "^$"
    assert {one["name"] for one in found["users"]} == set(allowed)
    assert all(one["password_hash"] == "" and not one["tags"] for one in found["users"])


def test_no_secret_lies_in_the_checkout_or_gets_into_an_image() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    kept_out = (ROOT / ".dockerignore").read_text().splitlines()

    assert "deploy/secrets/" in ignored
    assert "deploy/secrets/" in kept_out
    assert set(services()) >= SERVERS
