"""Links to RabbitMQ: how an address is read, in the clear and by TLS.

``amqps://user:password@host:5671/vhost?cacertfile=/path/ca.pem`` trusts the authorities in that
file; without it, those of the machine. The name in the certificate has to be the host's. The query
is RabbitMQ's own (its URI query parameters), and kombu would read it differently.
"""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kombu import Connection

from shared.refusals import refusal

_KNOWN = {"cacertfile"}


def parts(uri: str) -> tuple[str, dict[str, Any] | None]:
    """The address without its query, and what TLS goes by; ``None`` in the clear. Raises
    ``setting_invalid`` for what is asked for in vain."""
    found = urlsplit(uri)
    asked = parse_qs(found.query)
    plain = found._replace(query="").geturl()
    if set(asked) - (_KNOWN if found.scheme == "amqps" else set()):
        allowed = "cacertfile=/path/ca.pem, for amqps:// alone"
        detail = f"PBXIM_AMQP asks for {', '.join(sorted(asked))}; allowed is {allowed}."
        raise refusal("setting_invalid", detail, param="PBXIM_AMQP")
    if found.scheme != "amqps":
        return plain, None
    trusted = {"ca_certs": asked["cacertfile"][0]} if asked else {}
    named = {"server_hostname": found.hostname, "cert_reqs": ssl.CERT_REQUIRED}
    return plain, named | trusted


def link(uri: str, **options: Any) -> Connection:
    """A connection that is made at its first use."""
    plain, tls = parts(uri)
    return Connection(plain, ssl=tls or False, **options)
