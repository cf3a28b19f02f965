"""Mails leave the outbox once, in order, and one that is refused holds up no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.gateway.app import key_wrapper
from services.gateway.mail_sending import Postman
from tests.integration.gateway.sites import Site
from tests.support.product import Product
from tests.support.smtp import MailServer, mail_server


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


def postman(site: Site, url: str) -> Postman:
    runtime = site.world.runtime
    settings = replace(runtime.settings, smtp=url, mail_from="PBX.IM <numbers@example.com>")
    return Postman(runtime.state, key_wrapper(runtime), settings, runtime.machine)


def invite(site: Site, email: str) -> None:
    wanted = {"name": "Ann", "email": email, "country": "US"}
    assert site.staff().post("/v1/accounts", wanted).status_code == 201


def send_all(man: Postman) -> int:
    return sum(1 for _ in iter(man.step, False))


def test_an_invitation_reaches_its_mailbox_once(site: Site, server: MailServer) -> None:
    invite(site, "ann@example.com")
    man = postman(site, server.url)

    assert send_all(man) == 1
    assert send_all(man) == 0
    assert send_all(postman(site, server.url)) == 0  # Nor after a restart.

    (taken,) = server.taken
    (shown,) = site.mails()
    assert taken["To"] == "ann@example.com"
    (sender,) = taken["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("PBX.IM", "numbers@example.com")
    assert taken["Subject"] == "Your invitation to PBX.IM Numbers"
    assert shown["link"] in taken.get_content()
    assert taken["Message-ID"] == f"<{shown['id']}@127.0.0.1>"
    assert shown["sent_at"] is not None


def test_a_mail_that_is_refused_waits_and_the_others_go(site: Site, server: MailServer) -> None:
    server.refusing.add("ann@example.com")
    for name in ("ann", "bee", "cid"):
        invite(site, f"{name}@example.com")
    man = postman(site, server.url)

    assert send_all(man) == 3
    assert [mail["To"] for mail in server.taken] == ["bee@example.com", "cid@example.com"]

    server.refusing.clear()
    assert send_all(man) == 0
    site.world.machine.forward(seconds=16)
    assert send_all(man) == 1
    assert server.taken[-1]["To"] == "ann@example.com"


def test_a_server_that_is_away_loses_nothing_and_each_try_waits_longer(
    site: Site, server: MailServer
) -> None:
    invite(site, "ann@example.com")
    man = postman(site, "smtp://127.0.0.1:1")
    tries = []
    for _ in range(60):
        tries.append(send_all(man))
        site.world.machine.forward(seconds=10)

    assert 4 <= sum(tries) <= 7
    assert send_all(postman(site, server.url)) == 1
    assert len(server.taken) == 1


def test_a_password_is_not_told_without_tls(site: Site, server: MailServer) -> None:
    invite(site, "ann@example.com")
    man = postman(site, server.url.replace("smtp://", "smtp://user:secret@"))

    assert send_all(man) == 1
    assert server.taken == []
    assert site.mails()[0]["sent_at"] is None


def test_a_name_with_a_line_break_adds_no_header(site: Site, server: MailServer) -> None:
    answer = site.staff().post(
        "/v1/users", {"email": "ann@example.com\r\nBcc: eve@example.com", "role": "staff"}
    )
    assert answer.status_code == 422
    assert send_all(postman(site, server.url)) == 0


def test_the_running_product_sends_its_mails(tmp_path: Path, server: MailServer) -> None:
    product = Product(tmp_path / "var", {"PBXIM_SMTP": server.url}).start()
    try:
        product.open_account(card=None)
        assert server.arrived.wait(20)
        assert server.taken[0]["Subject"] == "Your invitation to PBX.IM Numbers"
    finally:
        product.stop()
