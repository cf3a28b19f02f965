"""``pbxim`` beside an installation: what it prints, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.gateway.sites import Site, make_site
from tests.support.product import ROOT
from tests.support.worlds import stores_of

PASSWORD = "four horses on a tin roof"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = make_site(tmp_path / "data")
    yield made
    made.world.close()


def pbxim(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command as an operator does."""
    return subprocess.run(
        [sys.executable, "-c", "from deploy.cli import main; main()", *words],
        cwd=ROOT,
        env=os.environ | {"PBXIM_DATA": str(data)} | stores_of(data),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_first_person_of_the_back_office_is_invited_on_the_command_line(
    site: Site, tmp_path: Path
) -> None:
    first = pbxim(tmp_path / "data", "staff", "invite", "ann@example.com")
    again = pbxim(tmp_path / "data", "staff", "invite", "Ann@example.com", "--json")
    old, new = first.stdout.strip(), json.loads(again.stdout)["link"]
    assert old != new
    assert "/invitations/" in new

    chosen = {"password": PASSWORD}
    for link, status in ((old, 410), (new, 201), (new, 410)):
        token = link.rpartition("/")[2]
        answer = site.visitor.post(f"/v1/invitations/{token}", json=chosen)
        assert answer.status_code == status, (link, answer.text)
    who = {"email": "ann@example.com", "password": PASSWORD}
    signed_in = site.visitor.post("/login", json=who)
    assert signed_in.json["role"] == "staff", signed_in.text

    taken = pbxim(tmp_path / "data", "staff", "invite", "ann@example.com")
    assert (taken.returncode, taken.stdout) == (1, "")
    assert "email_taken" in taken.stderr


def test_a_customer_does_not_become_staff_by_an_invitation(site: Site, tmp_path: Path) -> None:
    wanted = {"name": "Bee", "email": "bee@example.com", "country": "US"}
    assert site.staff().post("/v1/accounts", wanted).status_code == 201

    refused = pbxim(tmp_path / "data", "staff", "invite", "bee@example.com")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "email_taken" in refused.stderr


def test_events_are_data_and_sealed_fields_stay_sealed(site: Site, tmp_path: Path) -> None:
    wanted = {"name": "Canary Ltd", "email": "bee@example.com", "country": "US"}
    site.staff().post("/v1/accounts", wanted)
    exported = pbxim(tmp_path / "data", "events", "export")
    lines = [json.loads(line) for line in exported.stdout.splitlines()]
    last = json.loads(pbxim(tmp_path / "data", "events", "show", "--last", "--json").stdout)

    assert [line["position"] for line in lines] == list(range(1, len(lines) + 1))
    assert "AccountOpened" in {line["type"] for line in lines}
    assert "Canary" not in exported.stdout
    assert last == lines[-1]


def test_views_built_anew_stand_at_the_head(site: Site, tmp_path: Path) -> None:
    site.stocked().customer()
    head = site.world.runtime.application.log.head()
    built = pbxim(tmp_path / "data", "projections", "rebuild")
    assert built.returncode == 0, built.stderr
    shown = pbxim(tmp_path / "data", "projections", "status", "--json").stdout.splitlines()

    rows = {row["projection"]: row for row in map(json.loads, shown)}
    assert {"accounts", "stock"} <= set(rows)
    assert {(row["position"], row["lag"]) for row in rows.values()} == {(head, 0)}


def test_without_a_data_folder_it_says_what_to_do(tmp_path: Path) -> None:
    nothing = pbxim(tmp_path / "none", "events", "tail")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "Start the product once, or set PBXIM_DATA" in nothing.stderr


def test_an_audit_finds_nothing_in_an_untouched_log_and_names_what_was_changed(
    site: Site, tmp_path: Path
) -> None:
    site.stocked().customer()
    before = pbxim(tmp_path / "data", "audit", "verify")
    head = site.world.runtime.application.log.head()
    with closing(sqlite3.connect(tmp_path / "data" / "log.db")) as connection, connection:
        connection.execute("DROP TRIGGER event_no_update")
        connection.execute("DROP TRIGGER event_no_delete")
        connection.execute("UPDATE event SET payload = X'7b7d' WHERE position = 3")
        connection.execute("DELETE FROM event WHERE position = ?", (head,))
    after = pbxim(tmp_path / "data", "audit", "verify", "--json")
    lines = [json.loads(line) for line in after.stdout.splitlines()]

    assert (before.returncode, before.stdout) == (0, ""), before.stderr
    assert f"{head} is the last position; 0 things do not fit" in before.stderr
    assert after.returncode == 1
    assert lines[0]["position"] == 3
    assert lines[0]["problem"] == "the content does not fit its digest"
    seen = {line["where"] for line in lines if line["position"] == head}
    assert "stock" in seen  # A read model that knows the last event misses it.
