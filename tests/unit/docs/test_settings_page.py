"""docs/reference/settings.md names the settings that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared import config

DOCS = Path(__file__).resolve().parents[3] / "docs"
# One row per setting or settings, with the default behind it.
_NAMES = re.compile(r"PBXIM_[A-Z_]+")


@pytest.mark.parametrize("page", ["reference/settings.md", "how-to/go-live.md", "tutorial.md"])
def test_no_page_names_a_setting_that_there_is_not(page: str) -> None:
    assert set(_NAMES.findall((DOCS / page).read_text())) - {*config.known(), "PBXIM_"} == set()


def test_every_setting_has_its_row() -> None:
    rows = [one for one in (DOCS / "reference/settings.md").read_text().splitlines() if "|" in one]
    named = [name for row in rows for name in _NAMES.findall(row.split("|")[1])]
    assert sorted(named) == config.known()


def test_go_live_s_settings_start_a_live_installation() -> None:
    page = (DOCS / "how-to/go-live.md").read_text()
    (block,) = re.findall(r"^```ini\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    settings = config.load(dict(line.split("=", maxsplit=1) for line in block.splitlines()))
    assert settings.mode == "live"
    assert settings.public_url == "https://numbers.example.com"
