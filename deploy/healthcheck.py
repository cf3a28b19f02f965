"""Asks the process of this container how it is: ``python -m deploy.healthcheck [/readyz]``.

It ends with 0 for a good answer. For a container's health check: it asks where ``PBXIM_HEALTH``
says, and the gateway, which needs no second server, where ``PBXIM_HTTP`` says.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from shared import config

_SECONDS = 5
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # nosec B104  # Asked, not listened on.


def ask(host: str, port: int, path: str) -> tuple[bool, str]:
    """Whether the answer is good, and what it says."""
    connection = HTTPConnection(_HERE.get(host, host), port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status == HTTPStatus.OK, answer.read(2000).decode(errors="replace")
    except (OSError, HTTPException) as error:
        return False, f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def main(arguments: list[str]) -> None:
    """Asks once."""
    settings = config.load()
    host, port = settings.health or (settings.host, settings.port)
    good, text = ask(host, port, arguments[0] if arguments else "/livez")
    sys.stdout.write(f"{text}\n")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
