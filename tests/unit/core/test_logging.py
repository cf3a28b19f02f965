"""Log lines: fixed words and fields, nothing secret, nothing personal."""

from __future__ import annotations

import json
import logging as standard
import warnings
from collections.abc import Iterator

import pytest
import structlog

from shared import logging

HIDDEN = "[hidden]"


def redacted(**fields: object) -> dict[str, object]:
    return dict(logging.redact(None, "info", dict(fields)))


@pytest.mark.parametrize(
    "key",
    [
        *("password", "pass", "new_password", "secret", "client_secret", "token", "csrf_token"),
        *("authorization", "Authorization", "cookie", "api_key", "apikey", "staff_api_key", "pin"),
        *(
            "card",
            "cvc",
            "email",
            "staff_email",
            "first_name",
            "last_name",
            "company_name",
            "phone",
        ),
        "contact_phone",
    ],
)
def test_fields_with_telling_names_are_hidden(key: str) -> None:
    assert redacted(**{key: "x"}) == {key: HIDDEN}
    assert redacted(**{key: 1234}) == {key: HIDDEN}


@pytest.mark.parametrize(
    "secret",
    [
        *("sk_live_51Habcdefgh", "sk_test_51Habcdefgh", "rk_live_abcdefgh1", "pk_test_abcdefgh1"),
        *("whsec_abcdefgh12345678", "pbx_live_abcdefgh12", "pbx_abcdefgh12345"),
        *("4242424242424242", "378282246310005", "zoe.canary+x@example.co.uk"),
    ],
)
def test_secrets_are_hidden_wherever_they_stand(secret: str) -> None:
    sentence = f"it failed with {secret}, sorry"

    hidden = redacted(
        event=sentence,
        detail=sentence,
        error=ValueError(sentence),
        exception=f"Traceback\n  {sentence}",
        listed=[sentence, {"deep": sentence}],
        by_name={"detail": sentence},
    )

    assert secret not in repr(hidden)
    assert hidden["detail"] == f"it failed with {HIDDEN}, sorry"
    assert "sorry" in repr(hidden["error"])


def test_secrets_with_telling_names_are_hidden_inside_other_fields() -> None:
    assert redacted(body={"password": "x", "items": [{"token": "y", "n": 1}]}) == {
        "body": {"password": HIDDEN, "items": [{"token": HIDDEN, "n": 1}]}
    }


def test_what_an_operator_needs_stays() -> None:
    fields = {
        "event": "order_placed",
        "order_id": "ord_3mpii5sdhfopbpbz3cbm",
        "number": "+12125550123",
        "position": 1_234_567_890_123_456,
        "seconds": 0.25,
        "ok": True,
        "nothing": None,
        "code": "card_declined",
    }

    assert redacted(**fields) == {**fields, "code": "card_declined"}


@pytest.fixture
def restored() -> Iterator[None]:
    root = standard.getLogger()
    before = root.handlers, root.level
    yield
    root.handlers, root.level = before


@pytest.mark.usefixtures("restored")
def test_a_line_is_json_with_a_word_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logging.set_up("info", as_json=True)

    log = logging.logger("orders")
    log.debug("not_shown")
    log.info("order_placed", order_id="ord_1", token="sk_live_abcdefgh12")

    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert found.pop("timestamp").endswith("Z")
    assert found == {
        "event": "order_placed",
        "level": "info",
        "order_id": "ord_1",
        "source": "orders",
        "token": HIDDEN,
    }


@pytest.mark.usefixtures("restored")
def test_errors_are_told_with_their_trace_and_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.set_up("info", as_json=True)
    try:
        int("sk_live_abcdefgh12")
    except ValueError:
        logging.logger("billing").exception("effect_failed")

    found = json.loads(capsys.readouterr().err)
    assert "ValueError" in found["exception"]
    assert "sk_live" not in found["exception"]


@pytest.mark.usefixtures("restored")
def test_libraries_speak_through_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logging.set_up("info", as_json=True)

    standard.getLogger("waitress").info("not_shown")
    standard.getLogger("waitress").warning("task queue depth is %d for %s", 3, "a@example.com")

    found = json.loads(capsys.readouterr().err)
    assert found["event"] == f"task queue depth is 3 for {HIDDEN}"
    assert found["level"] == "warning"


@pytest.mark.usefixtures("restored")
def test_a_terminal_gets_columns_without_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    logging.set_up("debug", as_json=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            int("why")
        except ValueError:
            logging.logger("x").exception("it_failed", order_id="ord_1")

    shown = capsys.readouterr().err
    assert "it_failed" in shown
    assert "ValueError: invalid literal" in shown


@pytest.mark.usefixtures("restored")
def test_context_is_bound_once_for_a_piece_of_work(capsys: pytest.CaptureFixture[str]) -> None:
    logging.set_up("info", as_json=True)
    with structlog.contextvars.bound_contextvars(request_id="req_1"):
        logging.logger("x").info("one")
    logging.logger("x").info("two")

    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["request_id"] == "req_1"
    assert "request_id" not in second
