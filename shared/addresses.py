"""Addresses of servers, as settings name them."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

POSTGRESQL = r"postgresql://\S+"
KURRENTDB = r"kurrentdb(\+discover)?://\S+"
OURSELVES = frozenset({"127.0.0.1", "localhost", "::1"})


def without_password(address: str) -> str:
    """The address as it may be shown."""
    return re.sub(r"//([^/@]*?):[^/]*@", r"//\1:…@", address)


def in_the_clear(address: str) -> bool:
    """Whether a database's address is of another host and does not insist on encryption."""
    parts = urlsplit(address)
    said = dict(parse_qsl(parts.query))
    hosts = said.get("host") or said.get("hostaddr") or parts.netloc.rpartition("@")[2]
    names = [re.sub(r":\d*$", "", host).strip("[]") for host in hosts.split(",")]
    abroad = [name for name in names if name and name[0] != "/" and name not in OURSELVES]
    if parts.scheme != "postgresql":  # KurrentDB's is encrypted, unless it says that it is not.
        plain = {value.lower() for key, value in said.items() if key.lower() == "tls"} - {"true"}
        return bool(abroad and plain)
    return bool(abroad) and said.get("sslmode") not in {"require", "verify-ca", "verify-full"}
