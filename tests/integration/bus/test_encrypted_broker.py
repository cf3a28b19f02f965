"""RabbitMQ as ``deploy/compose.yaml`` has it: its configuration and its definitions, TLS alone, a
user for each kind of process, who may do what it has to do and no more."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.broker import link, parts
from deploy.certificates import Authority
from deploy.payment_sandbox.process import SandboxProcess
from deploy.publisher import Publisher
from deploy.rpc_client import RpcClient
from deploy.secrets_folder import SecretsFolder
from deploy.topology import EXCHANGES, RPC_EXCHANGE
from shared.errors import Broken, Unavailable
from tests.integration.bus.listening import ROOT, RelayProcess, Writer
from tests.integration.bus.nameko_processes import services, when_there
from tests.integration.gateway.sites import make_site
from tests.support.asking import asked, until
from tests.support.rabbitmq import Broker, free_port
from tests.support.worlds import context

pytestmark = pytest.mark.broker
CONFIGURATION = ROOT / "deploy/rabbitmq/rabbitmq.conf"


class Encrypted:
    """A broker with the shipped configuration, and the secrets that go with it."""

    def __init__(self, folder: Path) -> None:
        self.secrets = folder / "secrets"
        SecretsFolder(self.secrets, broker="localhost").fill()
        port = free_port()
        settings = CONFIGURATION.read_text().replace("/run/secrets", str(self.secrets))
        settings = settings.replace("ssl.default = 5671", f"ssl.1 = 127.0.0.1:{port}")
        self.broker = Broker(folder / "rabbitmq", port=port, settings=settings)

    def address(self, user: str) -> str:
        found = (self.secrets / f"amqp_{user}").read_text().strip()
        found = found.replace("/run/secrets", str(self.secrets))
        return found.replace(":5671/", f":{self.broker.port}/")

    def file(self, user: str) -> str:
        """A file with the address, for ``PBXIM_AMQP_FILE``."""
        path = self.secrets / f"here_{user}"
        path.write_text(self.address(user))
        return str(path)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    made = Encrypted(tmp_path_factory.mktemp("encrypted"))
    made.broker.start()
    yield made
    made.broker.stop()


def test_the_definitions_made_every_exchange_that_the_product_declares(
    encrypted: Encrypted,
) -> None:
    with link(encrypted.address("relay")) as connection:
        for exchange in EXCHANGES:
            exchange(connection.channel()).declare(passive=True)
    with link(encrypted.address("gateway")) as connection:
        RPC_EXCHANGE(connection.channel()).declare(passive=True)


def test_each_user_may_do_its_own_work_alone(encrypted: Encrypted) -> None:
    for stranger in ("gateway", "services"):
        publisher = Publisher(encrypted.address(stranger))
        with pytest.raises(Unavailable, match="ACCESS_REFUSED"):
            publisher.connect()
        publisher.close()
    client = RpcClient(encrypted.address("relay"), seconds=5)
    with pytest.raises(Unavailable, match="ACCESS_REFUSED"):
        client.call("orders", "get_order", context(), order_id="ord_1")
    client.close()


def test_a_relay_publishes_over_tls_from_an_address_in_a_file(
    encrypted: Encrypted, data: Path
) -> None:
    writer = Writer(data)
    writer.write(3)
    port = free_port()
    relay = RelayProcess(data, "")
    relay.more = {"PBXIM_AMQP_FILE": encrypted.file("relay"), "PBXIM_HEALTH": f"127.0.0.1:{port}"}
    relay.start().said("relay_active")

    ready = until(
        lambda: asked(port, "/readyz")[1],
        lambda found: found["consumers"]["relay"]["position"] == 3,
    )
    relay.process.send_signal(signal.SIGTERM)

    assert relay.ended() == 0
    relay.close()
    writer.log.close()
    assert ready["broker"] == "ok"


def test_a_service_is_called_over_tls(
    encrypted: Encrypted, tmp_path: Path, payments: SandboxProcess
) -> None:
    site = make_site(tmp_path / "data", payments)
    port = free_port()
    more = {
        "PBXIM_STRIPE_SECRET_KEY": "sk_test_gateway",
        "PBXIM_STRIPE_API_BASE": payments.base_url,
        "PBXIM_AMQP_FILE": encrypted.file("services"),
        "PBXIM_HEALTH": f"127.0.0.1:{port}",
    }
    process = services(site.world.folder, "", **more)
    process.arguments[-1:] = []  # The odd one has a queue of another name.
    process.start()
    client = RpcClient(encrypted.address("gateway"), seconds=20)
    try:
        until(lambda: asked(port, "/readyz")[0], lambda found: found == 200)
        answer = when_there(lambda: client.call("inventory", "list_countries", context()))
    finally:
        client.close()
        process.kill()
        site.stop()
    assert isinstance(answer, list | dict)


def test_a_broker_whose_certificate_is_another_authority_s_is_not_spoken_to(
    encrypted: Encrypted, tmp_path: Path
) -> None:
    (tmp_path / "ca").write_text(Authority("somebody else").certificate)
    uri = encrypted.address("relay").replace(str(encrypted.secrets), str(tmp_path))

    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        Publisher(uri).connect()


def test_a_broker_of_another_name_is_not_spoken_to(encrypted: Encrypted) -> None:
    # The same address for the resolver, and none of the names in the certificate.
    uri = encrypted.address("relay").replace("@localhost:", "@127.1:")

    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        Publisher(uri).connect()


def test_what_an_address_asks_for_in_vain_is_named() -> None:
    for uri in ("amqps://u:hush@b/v?verify=verify_none", "amqp://u:hush@b/v?cacertfile=/ca"):
        with pytest.raises(Broken, match="PBXIM_AMQP asks for") as refused:
            parts(uri)
        assert "hush" not in refused.value.detail
