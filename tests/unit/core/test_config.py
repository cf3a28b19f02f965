"""Settings: every wrong one is named with what is allowed; live refuses what is a toy."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.billing.provider import Provider
from shared import config, live
from shared.errors import Broken

SANDBOX = {"PBXIM_MODE": "sandbox"}
LIVE = {
    "PBXIM_MODE": "live",
    "PBXIM_STRIPE_SECRET_KEY": "sk_live_1",
    "PBXIM_STRIPE_PUBLISHABLE_KEY": "pk_live_1",
    "PBXIM_STRIPE_WEBHOOK_SECRET": "whsec_1",
    "PBXIM_PUBLIC_URL": "https://numbers.example.com",
}


def refused(environ: dict[str, str]) -> Broken:
    with pytest.raises(Broken) as raised:
        config.load(environ)
    assert raised.value.code == "setting_invalid"
    return raised.value


def test_a_laptop_needs_nothing_but_the_mode() -> None:
    settings = config.load(SANDBOX)

    assert settings.sandbox
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.base_url == settings.public_url == "http://127.0.0.1:8000"
    assert settings.key_file == Path("var/master.key")
    assert (settings.hold_minutes, settings.quarantine_days, settings.numbers_held) == (10, 45, 100)


def test_the_environment_is_read_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PBXIM_MODE", "sandbox")
    monkeypatch.setenv("PBXIM_DATA", "/srv/pbxim")

    assert config.load().key_file == Path("/srv/pbxim/master.key")


def test_an_empty_setting_is_one_that_was_not_set() -> None:
    empty = {f"PBXIM_{n}": "" for n in ("DATA", "HTTP", "LOG_LEVEL", "LOG_JSON", "HOLD_MINUTES")}

    assert config.load(SANDBOX | empty) == config.load(SANDBOX)


def test_an_address_of_ip_version_6_is_written_with_brackets() -> None:
    settings = config.load(SANDBOX | {"PBXIM_HTTP": "[::1]:9000"})

    assert (settings.host, settings.port) == ("::1", 9000)
    assert settings.base_url == settings.public_url == "http://[::1]:9000"


WRONG = [
    ("PBXIM_MODE", "", "sandbox, live"),
    ("PBXIM_MODE", "Live", "sandbox, live"),
    ("PBXIM_HTTP", "8000", "host:port"),
    ("PBXIM_HTTP", "localhost:", "host:port"),
    ("PBXIM_HTTP", "localhost:99999", "host:port"),
    ("PBXIM_HTTP", "localhost:²", "host:port"),
    ("PBXIM_HEALTH", "9101", "host:port"),
    ("PBXIM_OTLP", "collector:4318", "as in https://"),
    ("PBXIM_LOG_LEVEL", "loud", "debug, info, warning, error, critical"),
    ("PBXIM_LOG_JSON", "yes", "0 or 1"),
    ("PBXIM_STRIPE_TIMEOUT", "0", "from 0.1 to 80"),
    ("PBXIM_STRIPE_TIMEOUT", "nan", "from 0.1 to 80"),
    ("PBXIM_STRIPE_TIMEOUT", "soon", "from 0.1 to 80"),
    ("PBXIM_HOLD_MINUTES", "0", "from 1 to 1440"),
    ("PBXIM_HOLD_MINUTES", "10.5", "a whole number"),
    ("PBXIM_HOLD_MINUTES", "ten", "a whole number"),
    ("PBXIM_NUMBERS_PER_CITY", "10001", "from 1 to 10000"),
    ("PBXIM_NUMBERS_HELD", "-1", "from 1 to 100000"),
    ("PBXIM_QUARANTINE_DAYS", "99999", "from 0 to 3650"),
    ("PBXIM_RATE_LIMIT", "often", "as in 200 per second"),
    ("PBXIM_RATE_LIMIT", "0 per second", "as in 200 per second"),
    ("PBXIM_RATE_LIMIT", "200 per blink", "or minute, hour"),
    ("PBXIM_PUBLIC_URL", "numbers.example.com", "https://numbers.example.com"),
    ("PBXIM_PUBLIC_URL", "ftp://numbers.example.com", "https://numbers.example.com"),
    ("PBXIM_PUBLIC_URL", "https://numbers.example.com/pbx", "without a path"),
    ("PBXIM_FAILPOINT", "kill:never", "kill:N, kill:N@PLACE or orders:FOLDER"),
    ("PBXIM_FAILPOINT", "explode", "record:FILE"),
    ("PBXIM_LOG", "mysql://localhost/pbxim", "sqlite:var/log.db, postgresql://"),
    ("PBXIM_LOG", "postgresql:pbxim", "sqlite:var/log.db, postgresql://"),
    ("PBXIM_LOG", "esdb://localhost:2113", "kurrentdb://"),
    ("PBXIM_LOG", "kurrentdb:localhost", "kurrentdb://"),
    ("PBXIM_LOG", "sqlite:elsewhere.db", "sqlite:var/log.db"),
    ("PBXIM_DATABASE", "mysql://localhost/pbxim", "nothing (files in PBXIM_DATA) or postgresql://"),
    ("PBXIM_AMQP", "localhost:5672", "as in amqp://user:password@127.0.0.1:5672/"),
    ("PBXIM_STRIPE_SECRET_KEY", "garbage", "a test key"),
    ("PBXIM_STRIPE_SECRET_KEY", "sk_live_1", "a test key"),
    ("PBXIM_STRIPE_SECRET_KEY", "rk_live_1", "a test key"),
    ("PBXIM_STRIPE_PUBLISHABLE_KEY", "pk_live_1", "a test key"),
]


@pytest.mark.parametrize(("name", "wrong", "allowed"), WRONG)
def test_a_wrong_setting_is_named_with_what_is_allowed(name: str, wrong: str, allowed: str) -> None:
    error = refused(SANDBOX | {name: wrong})

    assert error.param == name
    assert name in error.detail
    assert allowed in error.detail


def test_the_log_may_be_named_where_it_lies_anyway() -> None:
    named = {"PBXIM_DATA": "/srv/pbxim", "PBXIM_LOG": "sqlite:/srv/pbxim/log.db"}

    assert config.load(SANDBOX | named).data == Path("/srv/pbxim")


def test_the_log_may_lie_in_a_database() -> None:
    named = {"PBXIM_LOG": "postgresql://pbxim@db.example.com:5432/pbxim"}

    assert config.load(SANDBOX | named).log == named["PBXIM_LOG"]
    assert config.load(SANDBOX).log == "sqlite:var/log.db"


@pytest.mark.parametrize(
    "address",
    [
        "kurrentdb://me:s3cret@one.example.com:2113,two.example.com:2113/pbxim",
        "kurrentdb+discover://me:s3cret@cluster.example.com/pbxim?Tls=true",
        "kurrentdb://127.0.0.1:2113?tls=false",
        "kurrentdb://[::1]:2113?tls=false",
    ],
)
def test_the_log_may_lie_in_kurrentdb_here_or_by_an_encrypted_link(address: str) -> None:
    assert config.load(SANDBOX | {"PBXIM_LOG": address}).log == address
    assert config.load(LIVE | {"PBXIM_LOG": address}).log == address
    assert refused(SANDBOX | {"PBXIM_DATABASE": address}).param == "PBXIM_DATABASE"


@pytest.mark.parametrize(
    "address",
    [
        "kurrentdb://me:s3cret@db.example.com:2113/pbxim?tls=false",
        "kurrentdb://me:s3cret@localhost:2113,db.example.com:2113?Tls=False",
        "kurrentdb+discover://me:s3cret@db.example.com?keepAliveInterval=1000&TLS=FALSE",
    ],
)
def test_live_refuses_kurrentdb_elsewhere_in_the_clear(address: str) -> None:
    error = refused(LIVE | {"PBXIM_LOG": address})

    assert error.param == "PBXIM_LOG"
    assert "no tls=false" in error.detail
    assert "me:…@" in error.detail
    assert "s3cret" not in error.detail
    assert config.load(SANDBOX | {"PBXIM_LOG": address}).log == address


def test_state_and_views_may_lie_in_a_database() -> None:
    named = {"PBXIM_DATABASE": "postgresql://pbxim@db.example.com:5432/pbxim"}

    assert config.load(SANDBOX | named).database == named["PBXIM_DATABASE"]
    assert config.load(SANDBOX).database is None


@pytest.mark.parametrize("name", ["PBXIM_LOG", "PBXIM_DATABASE"])
def test_a_password_is_not_repeated_in_what_is_said_about_its_setting(name: str) -> None:
    assert "s3cret" not in refused(SANDBOX | {name: "mysql://me:s3cret@db/x"}).detail
    assert "s3cret" not in refused(LIVE | {name: "postgresql://me:s3cret@db/x"}).detail


@pytest.mark.parametrize("name", ["PBXIM_LOG", "PBXIM_DATABASE"])
@pytest.mark.parametrize(
    "address",
    [
        "postgresql://db.example.com/pbxim",
        "postgresql://me@db.example.com:5432/pbxim?sslmode=prefer",
        "postgresql://me@localhost,db.example.com/pbxim",
        "postgresql://me@localhost/pbxim?host=db.example.com",
    ],
)
def test_live_refuses_a_database_elsewhere_in_the_clear(address: str, name: str) -> None:
    assert refused(LIVE | {name: address}).param == name


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me@db.example.com/pbxim?sslmode=verify-full",
        "postgresql://me@127.0.0.1:5433/pbxim",
        "postgresql://me@[::1]:5433/pbxim",
        "postgresql://me@/pbxim?host=/run/postgresql",
    ],
)
def test_live_takes_a_database_here_or_by_an_encrypted_link(address: str) -> None:
    assert config.load(LIVE | {"PBXIM_LOG": address}).log == address
    assert config.load(LIVE | {"PBXIM_DATABASE": address}).database == address


def test_a_name_that_is_no_setting_is_pointed_out() -> None:
    environ = {"PBXIM_PORT": "80", "PBXIM_TEST_CHROMIUM": "x", "PBXIM_DATA": "y", "HOME": "z"}

    assert config.unknown(environ) == ["PBXIM_PORT"]


def test_live_starts_with_everything_real() -> None:
    settings = config.load(LIVE)

    assert not settings.sandbox
    assert config.load(LIVE | {"PBXIM_PUBLIC_URL": "http://localhost:8000"})


@pytest.mark.parametrize(
    ("name", "toy"),
    [
        ("PBXIM_STRIPE_SECRET_KEY", "sk_test_1"),
        ("PBXIM_STRIPE_PUBLISHABLE_KEY", "pk_test_1"),
        ("PBXIM_STRIPE_API_BASE", "http://127.0.0.1:1"),
        ("PBXIM_STRIPE_SCRIPT_URL", "http://127.0.0.1:1/stripe.js"),
        ("PBXIM_FAILPOINT", "kill:1"),
        ("PBXIM_PUBLIC_URL", "http://numbers.example.com"),
        ("PBXIM_PUBLIC_URL", "HTTP://numbers.example.com"),
        ("PBXIM_PUBLIC_URL", "numbers.example.com"),
        ("PBXIM_OTLP", "http://collector.example.com:4318"),
        ("PBXIM_AMQP", "amqp://user:hush@rabbit.example.com:5672/"),
    ],
)
def test_live_refuses_a_toy(name: str, toy: str) -> None:
    assert refused(LIVE | {name: toy}).param == name


KEYS = {f"PBXIM_{name.upper()}": name for name in live.BILLING}


@pytest.mark.parametrize("missing", KEYS)
def test_who_pays_in_live_mode_needs_every_key(missing: str) -> None:
    live.require(config.load(LIVE), live.BILLING)
    settings = config.load(LIVE | {missing: ""})

    with pytest.raises(Broken) as raised:
        live.require(settings, live.BILLING)

    assert (raised.value.code, raised.value.param) == ("setting_invalid", missing)
    with pytest.raises(Broken, match=missing):
        Provider(settings)


def test_who_does_not_pay_needs_no_key_to_pay_with_and_a_sandbox_needs_none() -> None:
    without = config.load(LIVE | dict.fromkeys(KEYS, ""))

    assert without.mode == "live"
    with pytest.raises(Broken, match="PBXIM_STRIPE_PUBLISHABLE_KEY"):
        live.require(without, live.CARD_FIELDS)
    live.require(config.load(LIVE | {"PBXIM_STRIPE_SECRET_KEY": ""}), live.CARD_FIELDS)
    live.require(config.load(SANDBOX), live.BILLING)


def test_live_takes_a_broker_beside_it_or_one_behind_tls() -> None:
    for address in ("amqp://user:hush@127.0.0.1:5672/", "amqps://rabbit.example.com/numbers"):
        assert config.load(LIVE | {"PBXIM_AMQP": address}).amqp == address


def test_no_password_of_the_broker_is_repeated_in_a_refusal() -> None:
    assert "hush" not in refused(SANDBOX | {"PBXIM_AMQP": "rabbit:hush@example.com"}).detail
    assert "hush" not in refused(LIVE | {"PBXIM_AMQP": "amqp://u:hush@example.com"}).detail


def test_no_key_is_repeated_in_a_refusal() -> None:
    for environ in (SANDBOX, LIVE):
        wrong = "sk_live_secret" if environ is SANDBOX else "sk_test_secret"

        assert "secret" not in refused(environ | {"PBXIM_STRIPE_SECRET_KEY": wrong}).detail


SECRETS = {
    "PBXIM_STRIPE_SECRET_KEY": "sk_test_1",
    "PBXIM_STRIPE_PUBLISHABLE_KEY": "pk_test_1",
    "PBXIM_STRIPE_WEBHOOK_SECRET": "whsec_1",
    "PBXIM_SMTP": "smtps://me:hush@mail.example.com:465",
    "PBXIM_AMQP": "amqp://me:hush@127.0.0.1:5672/",
    "PBXIM_LOG": "postgresql://me:hush@127.0.0.1/pbxim",
    "PBXIM_DATABASE": "postgresql://me:hush@127.0.0.1/pbxim",
}


def test_every_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    named = {}
    for name, secret in SECRETS.items():
        (tmp_path / name).write_text(f"{secret}\n")
        named[f"{name}_FILE"] = str(tmp_path / name)

    assert config.load(SANDBOX | named) == config.load(SANDBOX | SECRETS)
    assert config.unknown(named) == []


def test_a_secret_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "amqp").write_text(SECRETS["PBXIM_AMQP"])
    twice = {"PBXIM_AMQP": SECRETS["PBXIM_AMQP"], "PBXIM_AMQP_FILE": str(tmp_path / "amqp")}

    error = refused(SANDBOX | twice)

    assert error.param == "PBXIM_AMQP"
    assert "both given" in error.detail
    assert "hush" not in error.detail


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"amqp://me:hush@127.0.0.1/\namqp://me:hush@127.0.0.2/\n", "several lines"),
        (b"\xff\xfehush", "is no text"),
    ],
)
def test_a_file_without_one_secret_is_named_and_not_shown(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "amqp"
    if content is not None:
        path.write_bytes(content)

    error = refused(SANDBOX | {"PBXIM_AMQP_FILE": str(path)})

    assert error.param == "PBXIM_AMQP_FILE"
    assert str(path) in error.detail
    assert why in error.detail
    assert "hush" not in error.detail


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    assert "Is a directory" in refused(SANDBOX | {"PBXIM_SMTP_FILE": str(tmp_path)}).detail


def test_a_wrong_secret_in_a_file_is_as_wrong_as_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk_live_hush")

    error = refused(SANDBOX | {"PBXIM_STRIPE_SECRET_KEY_FILE": str(tmp_path / "key")})

    assert error.param == "PBXIM_STRIPE_SECRET_KEY"
    assert "hush" not in error.detail
