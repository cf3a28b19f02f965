"""The sandbox as a WSGI application, called without a socket."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.payment_sandbox import cards
from deploy.payment_sandbox.api import Sandbox
from deploy.payment_sandbox.book import BOOK_NAME, Book
from deploy.payment_sandbox.errors import ApiError, CardRefused, Malformed
from deploy.payment_sandbox.faults import FAULTS, Faults, Rule, Subject
from deploy.payment_sandbox.forms import Params
from deploy.payment_sandbox.records import Origin, first_id, new_id, stamp
from deploy.payment_sandbox.settings import Settings
from deploy.payment_sandbox.store import LIFE_SECONDS, Key, Store

Call = Callable[..., tuple[int, Any, dict[str, str]]]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    settings = Settings(tmp_path, "sk_test_unit", "pk_test_unit")
    app = Sandbox(settings, Store(tmp_path), Faults())

    def request(
        method: str, path: str, body: bytes = b"", key: str = "sk_test_unit", **more: str
    ) -> tuple[int, Any, dict[str, str]]:
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
            "HTTP_AUTHORIZATION": f"Bearer {key}",
            **more,
        }
        seen: dict[str, Any] = {}

        def start(status: str, headers: list[tuple[str, str]]) -> None:
            seen.update(status=int(status[:3]), headers=dict(headers))

        text = b"".join(app(environ, start))
        is_json = seen["headers"]["Content-Type"] == "application/json"
        return seen["status"], json.loads(text) if is_json and text else text, seen["headers"]

    return request


PAYMENT = b"amount=1234&currency=usd&payment_method=pm_card_visa&confirm=true"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/payment_intents", b"\xff\xfe\x00", 400),
        ("POST", "/v1/payment_intents", b"amount[x]=1&currency=usd", 400),
        ("POST", "/v1/payment_intents", b"amount=1&amount[x]=1", 400),
        ("POST", "/v1/payment_intents", b"x" * 300_000, 400),
        ("POST", "/v1/payment_intents", PAYMENT + b"&metadata=text", 400),
        ("POST", "/v1/payment_intents", PAYMENT + b"&expand[0]=colour", 400),
        ("POST", "/v1/payment_intents", PAYMENT + b"&customer[a]=1", 400),
        ("POST", "/v1/payment_intents", PAYMENT + b"&payment_method_data=text", 400),
        ("POST", "/v1/payment_methods", b"type=card&card=text", 400),
        ("POST", "/v1/payment_methods", b"type=card&card[token]=tok_none", 400),
        ("POST", "/v1/refunds", b"", 400),
        ("POST", "/v1/refunds", b"payment_intent=pi_none", 400),
        ("GET", "/v1/payment_intents?created[gte]=soon", b"", 400),
        ("GET", "/v1/payment_intents?created=99999999999999", b"", 400),
        ("GET", "/v1/payment_intents?starting_after=pi_none", b"", 400),
        ("GET", "/v1/payment_intents/pi_none", b"", 404),
        ("GET", "/v1/payment_intents/", b"", 404),
        ("DELETE", "/v1/payment_intents/pi_none", b"", 404),
        ("GET", "/v1/unicorns", b"", 404),
        ("GET", "/v1/customers/a/b/c/d", b"", 404),
        ("GET", "/receipts/ch_none", b"", 404),
        ("GET", "/elsewhere", b"", 404),
        ("PUT", "/_faults", b"{", 400),
        ("PUT", "/_faults", b"5", 400),
        ("PUT", "/_faults", b'{"rules": [5]}', 400),
        ("PUT", "/_faults", b'{"rules": [{"fault": "delay", "seed": []}]}', 400),
        ("PUT", "/_faults", b'{"rules": [{"fault": "delay", "seconds": NaN}]}', 400),
        ("PUT", "/_faults", b'{"rules": [{"fault": "delay", "match": {"x": 1}}]}', 400),
        ("GET", "/_book/charges?after=x", b"", 400),
    ],
)
def test_a_malformed_request_gets_stripes_error(
    call: Call, method: str, path: str, body: bytes, status: int
) -> None:
    got, answer, _ = call(method, path, body)
    assert got == status
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["message"]


def test_json_bodies_are_refused(call: Call) -> None:
    status, _, _ = call("POST", "/v1/customers", b"{}", CONTENT_TYPE="application/json")
    assert status == 400


@pytest.mark.parametrize("key", ["", "sk_test_other", "pk_test_unit", "sk_test_ünit"])
def test_only_the_secret_key_reads_the_book(call: Call, key: str) -> None:
    status, answer, _ = call("GET", "/_book/charges", key=key)
    assert status == 401
    assert "sk_test_unit" not in answer["error"]["message"]


def test_a_refused_request_books_nothing(call: Call, tmp_path: Path) -> None:
    before = rows(tmp_path)
    call("POST", "/v1/payment_intents", PAYMENT + b"&expand[0]=colour", HTTP_IDEMPOTENCY_KEY="k")
    assert rows(tmp_path) == before


def rows(folder: Path) -> list[int]:
    book = sqlite3.connect(folder / BOOK_NAME)
    tables = ("resources", "charges", "idempotency", "deliveries")
    counts = [book.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    book.close()
    return counts


def test_the_ledger_is_append_only(call: Call, tmp_path: Path) -> None:
    call("POST", "/v1/payment_intents", PAYMENT + b"&metadata[order]=1")
    book = sqlite3.connect(tmp_path / BOOK_NAME)
    for statement in ("UPDATE charges SET amount_minor = 1", "DELETE FROM charges"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            book.execute(statement)
    book.close()
    [charge] = Book(tmp_path).charges()
    assert (charge.amount_minor, charge.status, charge.metadata) == (
        1234,
        "succeeded",
        {"order": "1"},
    )
    assert Book(tmp_path).charges(after=1) == []


def test_the_ledger_is_paged(call: Call) -> None:
    for _ in range(3):
        call("POST", "/v1/payment_intents", PAYMENT)
    _, first, _ = call("GET", "/_book/charges?limit=2")
    _, rest, _ = call("GET", f"/_book/charges?limit=2&after={first['next']}")
    assert (len(first["data"]), len(rest["data"]), rest["next"]) == (2, 1, None)


def test_a_receipt_shows_the_amount_and_escapes_the_text(call: Call) -> None:
    body = PAYMENT + b"&description=%3Cb%3E&expand[0]=latest_charge"
    _, intent, _ = call("POST", "/v1/payment_intents", body)
    path = "/receipts/" + intent["latest_charge"]["id"]
    status, page, _ = call("GET", path)
    assert status == 200
    assert b"12.34 USD" in page
    assert b"&lt;b&gt;" in page


def test_a_preflight_is_answered_without_a_key(call: Call) -> None:
    status, _, headers = call("OPTIONS", "/v1/setup_intents/seti_1/confirm", key="")
    assert (status, headers["Access-Control-Allow-Origin"]) == (204, "*")


def test_keys_of_different_secret_keys_do_not_meet(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for secret in ("sk_test_a", "sk_test_b"):
        key = Key.of(secret, "same", "POST", "/v1/customers", secret)
        answer = store.run(key, Origin("http://x"), lambda tx: tx.save(stamp("cus")))
        assert not answer.replayed


def test_what_is_older_than_30_days_is_dropped_at_start(tmp_path: Path) -> None:
    store = Store(tmp_path)
    key = Key.of("sk_test_a", "old", "POST", "/v1/customers", "")
    store.run(key, Origin("http://x"), lambda tx: tx.save(stamp("cus")))
    with store.exclusive() as connection:
        connection.execute("UPDATE idempotency SET created = created - ?", (LIFE_SECONDS + 5,))
    store.run(
        Key.of("sk_test_a", "new", "POST", "/v1/customers", ""),
        Origin("http://x"),
        lambda tx: tx.save(stamp("cus")),
    )
    with Store(tmp_path).exclusive() as connection:
        left = [row["key"] for row in connection.execute("SELECT key FROM idempotency")]
    assert left == ["new"]


def test_ids_sort_by_time() -> None:
    made = [stamp("pi") for _ in range(50)]
    assert first_id("pi", made[0]["created"]) < made[0]["id"]
    assert made[-1]["id"] < first_id("pi", made[-1]["created"] + 1)
    assert len({one["id"] for one in made}) == 50
    assert new_id("ch").startswith("ch_")


# -- cards -----------------------------------------------------------------------------------


def test_every_card_is_known_by_its_last_digits() -> None:
    assert len({card.last4 for card in cards.CARDS}) == len(cards.CARDS)
    for card in cards.CARDS:
        assert cards.of_method({"card": cards.details(card, {})}) is card
        assert card.number not in json.dumps(cards.details(card, {}))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"number": "4242424242424241"}, "incorrect_number"),
        ({"number": "12"}, "incorrect_number"),
        ({"number": "4111111111111111"}, "card_declined"),
        ({"exp_month": "13"}, "invalid_expiry_month"),
        ({"exp_year": "20"}, "invalid_expiry_year"),
        ({"cvc": "1"}, "invalid_cvc"),
    ],
)
def test_a_mistyped_card_names_the_field(change: dict[str, str], code: str) -> None:
    right = {"number": "4242 4242 4242 4242", "exp_month": "12", "exp_year": "40", "cvc": "123"}
    assert cards.typed(Params(right))[0].token == "pm_card_visa"
    with pytest.raises(CardRefused) as caught:
        cards.typed(Params(right | change))
    assert caught.value.error["code"] == code


# -- faults ----------------------------------------------------------------------------------


def subject(**found: str) -> Subject:
    names = frozenset({found.get("card", "pm_card_visa"), "visa"})
    customer = found.get("customer")
    return Subject("POST", "/v1/payment_intents", lambda: customer, lambda: names)


@pytest.mark.parametrize(
    ("match", "hits"),
    [
        ({}, True),
        ({"path": "/v1/payment"}, True),
        ({"path": "/v1/refunds"}, False),
        ({"method": "GET"}, False),
        ({"payment_method": "visa"}, True),
        ({"payment_method": "mastercard"}, False),
        ({"customer": "cus_1"}, True),
        ({"customer": "cus_2"}, False),
    ],
)
def test_a_rule_hits_what_it_names(match: dict[str, str], *, hits: bool) -> None:
    assert Rule("delay", match).hits(subject(customer="cus_1"), None) is hits


def test_a_rule_happens_so_many_times() -> None:
    rule = Rule("500_before", times=2)
    assert [rule.hits(subject(), None) for _ in range(4)] == [True, True, False, False]


def test_a_webhook_rule_follows_the_event() -> None:
    faults = Faults([{"fault": "webhook_doubled", "match": {"event": "charge."}}])
    assert len(faults.deliveries(subject(), "charge.refunded")) == 2
    assert len(faults.deliveries(subject(), "payment_intent.succeeded")) == 1


def test_every_fault_is_documented() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "payment-sandbox.md"
    text = page.read_text()
    assert [fault for fault in FAULTS if f"`{fault}`" not in text] == []
    assert [card.token for card in cards.CARDS if f"`{card.token}`" not in text] == []


@pytest.mark.parametrize(
    "keys", [("sk_live_1", "pk_test_1"), ("sk_test_1", "pk_live_1"), ("sk_test_", "pk_test_1")]
)
def test_live_keys_are_refused(tmp_path: Path, keys: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="must begin with"):
        Settings(tmp_path, *keys)


def test_malformed_is_never_kept() -> None:
    assert not Malformed("x").kept
    assert not ApiError(404, "x").kept
    assert CardRefused("x", "card_declined").kept
