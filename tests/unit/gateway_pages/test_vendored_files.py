"""Files of others lie here unchanged: their hashes are those written down beside them."""

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "services" / "gateway" / "static" / "vendor"
FOR_TESTS = ROOT / "tests" / "e2e" / "browser" / "vendor"
ROW = re.compile(
    r"^\| `(\S+)` \| `\S+` \| (\S+) \| .* \| (\S+) \| `([0-9a-f]{64})` \|$", re.MULTILINE
)
LISTED = [
    (folder, *row)
    for folder in (SHIPPED, FOR_TESTS)
    for row in ROW.findall((folder / "README.md").read_text())
]


@pytest.mark.parametrize("folder", [SHIPPED, FOR_TESTS], ids=["shipped", "for tests"])
def test_every_file_of_others_is_listed_with_its_hash(folder):
    there = {p.name for p in folder.iterdir() if p.suffix in {".js", ".css"}}

    assert there
    assert there == {name for place, name, *_ in LISTED if place == folder}


@pytest.mark.parametrize(("folder", "name", "version", "licence", "sha256"), LISTED)
def test_a_file_of_others_is_unchanged(folder, name, version, licence, sha256):
    found = hashlib.sha256((folder / name).read_bytes()).hexdigest()

    assert found == sha256
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert licence in ({"0BSD", "MIT"} if folder == SHIPPED else {"MPL-2.0"})
