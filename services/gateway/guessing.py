"""One try of a password or of a code: only so many may be wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from flask import request

from services.gateway.surroundings import gateway
from shared.errors import PbxError

_WRONG = frozenset({"credentials_wrong", "totp_wrong"})


@contextlib.contextmanager
def one_try(email: str) -> Iterator[None]:
    """Around whatever looks at a password or code of this user, wherever it is typed: an open
    session must not be a place to try them all. Raises ``rate_limited``; what is wrong counts
    against the e-mail and the address it comes from."""
    limits, address = gateway().limits, request.remote_addr or ""
    limits.login(email, address)
    try:
        yield
    except PbxError as error:
        if error.code in _WRONG:
            limits.login_failed(email, address)
        raise
