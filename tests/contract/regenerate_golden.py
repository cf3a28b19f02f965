"""``python -m tests.contract.regenerate_golden`` adds new events and versions to the golden files.

What is pinned stays as it is, because logs hold such events: a version whose fields changed, or an
event that is gone, is refused by name. Give the event a new version and an upcaster instead.
"""

from __future__ import annotations

import json
import sys

from tests.contract import golden_messages as golden


def regenerate() -> list[str]:
    """Writes what is new; answers with what is refused, one sentence each."""
    events = golden.our_events()
    pinned = golden.pinned() if golden.MESSAGES.exists() else {}
    refused = [f"{name} is gone; logs hold it for ever." for name in pinned if name not in events]
    for name, kind in events.items():
        versions = pinned.setdefault(name, {})
        now = golden.described(kind)
        if versions.setdefault(str(kind.version), now) != now:
            refused.append(
                f"{name} version {kind.version} has other fields than it is pinned with."
            )
    if not refused:
        _write(pinned)
    return refused


def _write(pinned: dict[str, dict[str, golden.Described]]) -> None:
    text = json.dumps(pinned, indent=1, sort_keys=True)
    golden.MESSAGES.write_text(text + "\n")
    golden.STORED.mkdir(exist_ok=True)
    codec = golden.codec()
    for name, kind in golden.our_events().items():
        file = golden.sample_file(name, kind.version)
        if not file.exists():
            file.write_bytes(codec.encode(golden.sample(kind.cls), golden.EVENT_ID))


def main() -> None:
    """Says what it refuses and ends with 1 then."""
    refused = regenerate()
    sys.stdout.writelines(f"{sentence}\n" for sentence in refused)
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
