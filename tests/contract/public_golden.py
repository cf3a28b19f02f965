"""``python -m tests.contract.public_golden`` adds new public forms to ``public_events.json``.

What is pinned stays as it is, because others rely on it: a form whose fields changed is refused by
name. Raise its version in ``deploy/public_events.py`` and say so in the changelog.
"""

from __future__ import annotations

import json
import sys

from deploy.public_events import PUBLISHED, existing, public_fields
from tests.contract import golden_messages as golden

FILE = golden.GOLDEN / "public_events.json"


def described() -> dict[str, dict[str, golden.Described]]:
    """Every public form as it is now: event → version → exchange's service, fields, what is
    sealed."""
    kinds = golden.our_events()
    return {
        name: {str(PUBLISHED[name].version): _form(name, golden.described(kinds[name]))}
        for name in sorted(existing())
    }


def _form(name: str, stored: golden.Described) -> golden.Described:
    fields = {field.name: stored["fields"][field.name] for field in public_fields(name)}
    sealed = [field for field in stored["sealed"] if field in fields]
    return {"service": PUBLISHED[name].service, "data": fields, "sealed": sealed}


def pinned() -> dict[str, dict[str, golden.Described]]:
    """The golden file."""
    found: dict[str, dict[str, golden.Described]] = json.loads(FILE.read_text())
    return found


def main() -> None:
    """Writes what is new; says what it refuses and ends with 1 then."""
    golden.our_events()
    known = pinned() if FILE.exists() else {}
    refused = [f"{name} is published no more." for name in known if name not in described()]
    for name, versions in described().items():
        for version, form in versions.items():
            if known.setdefault(name, {}).setdefault(version, form) != form:
                refused.append(f"{name} version {version} has another form than it is pinned with.")
    if not refused:
        FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    sys.exit("\n".join(refused))


if __name__ == "__main__":
    main()
