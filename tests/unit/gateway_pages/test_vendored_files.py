"""Files of others lie here unchanged: their hashes are those written down beside them."""

import hashlib
import re
from pathlib import Path

import pytest

VENDOR = Path(__file__).parents[3] / "services" / "gateway" / "static" / "vendor"
LISTED = re.findall(
    r"^\| `(\S+)` \| `\S+` \| (\S+) \| .* \| (\S+) \| `([0-9a-f]{64})` \|$",
    (VENDOR / "README.md").read_text(),
    re.MULTILINE,
)


def test_every_file_of_others_is_listed_with_its_hash():
    there = {p.name for p in VENDOR.iterdir() if p.suffix in {".js", ".css"}}

    assert there == {name for name, *_ in LISTED}


@pytest.mark.parametrize(("name", "version", "licence", "sha256"), LISTED)
def test_a_file_of_others_is_unchanged(name, version, licence, sha256):
    found = hashlib.sha256((VENDOR / name).read_bytes()).hexdigest()

    assert found == sha256
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert licence in {"0BSD", "MIT"}
