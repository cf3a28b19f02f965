"""A setting that lies in a file, because it is a secret: ``PBXIM_<NAME>_FILE`` names the file.

Containers get secrets as files (``/run/secrets/…``); in the environment everybody who may look at
the process would see them.
"""

from __future__ import annotations

from pathlib import Path

from shared.refusals import refusal

_MOST_BYTES = 64 * 1024


def read(name: str, path: str) -> str:
    """The setting ``name`` from a file of one line; white space around it does not count. Raises
    ``setting_invalid``, which tells the path and nothing of what is in it."""
    try:
        with Path(path).open("rb") as file:
            found = file.read(_MOST_BYTES).decode().strip()
    except OSError as error:
        raise _invalid(name, path, f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise _invalid(name, path, "is no text") from None
    if not found:
        raise _invalid(name, path, "is empty")
    if len(found.splitlines()) > 1:
        raise _invalid(name, path, "has several lines")
    return found


def given_twice(name: str) -> Exception:
    """The refusal of a setting that is in the environment and in a file."""
    detail = f"{name} and {name}_FILE are both given; allowed is one of them."
    return refusal("setting_invalid", detail, param=name)


def _invalid(name: str, path: str, why: str) -> Exception:
    allowed = "allowed is a file of one line with the value"
    detail = f"{name}_FILE is '{path}', which {why}; {allowed}."
    return refusal("setting_invalid", detail, param=f"{name}_FILE")
