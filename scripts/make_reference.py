"""Writes the pages under docs/reference/ that are made from the code: errors.md, events.md.

``python scripts/make_reference.py`` writes them, ``--check`` only says whether they are current.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from scripts.events_page import events_page  # noqa: E402  # The path has to be set first.
from services.gateway.problems import status_of  # noqa: E402
from shared.errors import Broken  # noqa: E402
from shared.refusals import CODES  # noqa: E402

REFERENCE = ROOT / "docs" / "reference"
_HEAD = """\
# Errors

<!-- Made from shared/refusals.py by scripts/make_reference.py; change it there. -->

Every error is an `application/problem+json` document (RFC 9457):

| field | meaning |
|---|---|
| `code` | stable; programs decide by it. All codes are listed below |
| `status` | the HTTP status, the same as the answer's |
| `title`, `detail` | for people: what kind of error, and what happened this time |
| `param` | the field at fault, as in `items[0].quantity`, or the header's name |
| `errors` | all faults of the request, each with `code`, `param`, `detail` |
| `next_step` | what to do about it |
| `request_id` | as in the header `Request-Id`; name it when you ask for help |
| `type` | where the code is explained |

Another account's object is `404`, never `403`. `429` and `503` carry `Retry-After` in seconds;
repeating a request with the same `Idempotency-Key` is safe after each of them. Codes may be added;
treat one you do not know by its status.

| code | status | title | next step |
|---|---|---|---|
"""


def errors_page() -> str:
    """The page that lists every code of the catalogue, sorted by name."""
    rows = [
        f"| `{code}` | {status_of(code)} | {known.title} | {known.next_step} |"
        for code, known in sorted(CODES.items())
        if known.kind is not Broken or code == "internal_error"
    ]
    inside = [
        f"| `{code}` | {known.title} | {known.next_step} |"
        for code, known in sorted(CODES.items())
        if known.kind is Broken and code != "internal_error"
    ]
    return _HEAD + "\n".join(rows) + _BROKEN + "\n".join(inside) + "\n"


_BROKEN = """

## For operators

These never come from a request. They end a process, or stand in its log and in `/readyz`.

| code | title | next step |
|---|---|---|
"""


def main() -> int:
    """Writes what is not current; with ``--check`` it says so and exits with 1."""
    pages = {"errors.md": errors_page(), "events.md": events_page()}
    files = {REFERENCE / name: text for name, text in pages.items()}
    stale = [f for f, text in files.items() if not f.exists() or f.read_text() != text]
    if "--check" in sys.argv[1:]:
        for file in stale:
            print(f"{file} is not current: run scripts/make_reference.py", file=sys.stderr)
        return 1 if stale else 0
    for file in stale:
        file.write_text(files[file])
    return 0


if __name__ == "__main__":
    sys.exit(main())
