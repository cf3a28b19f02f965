"""Sends the mails of the outbox by SMTP, each until the server has taken it.

A mail counts as sent once the server has answered for it. A crash between that and our note sends
it a second time, under the same Message-ID (RFC 5322, section 3.6.4), so that it can be told.
"""

from __future__ import annotations

import smtplib
import ssl
import threading
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from services.gateway import mail
from shared import logging
from shared.clock import Clock
from shared.config import Settings
from shared.errors import Unavailable
from shared.sealing import Wrapper
from shared.stores import Store

_log = logging.logger("mail")
_EVERY_SECONDS = 2.0
_PATIENCE_SECONDS = 15.0
_FIRST_PAUSE, _LONGEST_PAUSE = 15, 3600
_SUBMISSION, _SUBMISSIONS = 587, 465  # RFC 6409; RFC 8314.
Connect = Callable[[], smtplib.SMTP]


class Postman:
    """Sends what lies in the outbox, the oldest first. One that is refused waits longer each time
    and holds up no other."""

    def __init__(self, state: Store, wrapper: Wrapper, settings: Settings, machine: Clock) -> None:
        self._state = state
        self._wrapper = wrapper
        self._settings = settings
        self._machine = machine
        self._pauses: dict[str, tuple[int, int]] = {}  # Mail → when again, and how long then.

    def step(self) -> bool:
        """Sends one mail, if one is due. Says whether there was one."""
        now = int(self._machine.now().timestamp())
        due = (
            one
            for one in mail.unsent(self._state, self._wrapper)
            if self._pauses.get(one["id"], (0, 0))[0] <= now
        )
        found = next(due, None)
        if found is None:
            return False
        try:
            self._send(found)
        except (OSError, smtplib.SMTPException) as error:
            self._put_off(found["id"], now, error)
        else:
            self._pauses.pop(found["id"], None)
            mail.mark_sent(self._state, found["id"], now)
        return True

    def run(self, stopping: threading.Event) -> None:
        """Goes on until it is told to stop."""
        while not stopping.wait(_EVERY_SECONDS):
            try:
                while self.step() and not stopping.is_set():
                    pass
            except Unavailable:  # A full disk, say: the mails are still there.
                _log.warning("outbox_unavailable")

    def _send(self, found: Mapping[str, Any]) -> None:
        with connected(self._settings.smtp or "") as server:
            server.send_message(self._message(found))

    def _message(self, found: Mapping[str, Any]) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._settings.mail_from
        message["To"] = found["to"]
        message["Subject"] = found["subject"]
        message["Date"] = format_datetime(self._machine.now())
        host = urlsplit(self._settings.public_url).hostname
        message["Message-ID"] = f"<{found['id']}@{host}>"
        message.set_content(found["text"])
        return message

    def _put_off(self, mail_id: str, now: int, error: Exception) -> None:
        pause = min(2 * self._pauses.get(mail_id, (0, 0))[1] or _FIRST_PAUSE, _LONGEST_PAUSE)
        self._pauses[mail_id] = (now + pause, pause)
        # Its kind alone: a server's words may repeat the address.
        _log.warning("mail_not_sent", mail=mail_id, error=type(error).__name__, again_in=pause)


def connected(url: str) -> smtplib.SMTP:
    """A connection to ``smtp[s]://[user:password@]host[:port]``. ``smtp`` goes on with STARTTLS
    where the server offers it; a password is only told over TLS. Raises ``OSError`` and
    ``smtplib.SMTPException``."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", ssl.create_default_context()
    if parts.scheme == "smtps":
        port = parts.port or _SUBMISSIONS
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            host, port, timeout=_PATIENCE_SECONDS, context=secure
        )
    else:
        server = smtplib.SMTP(host, parts.port or _SUBMISSION, timeout=_PATIENCE_SECONDS)
        _upgrade(server, secure, needed=parts.password is not None)
    if parts.password is not None:
        server.login(unquote(parts.username or ""), unquote(parts.password))
    return server


def _upgrade(server: smtplib.SMTP, secure: ssl.SSLContext, *, needed: bool) -> None:
    server.ehlo()
    if server.has_extn("starttls"):
        server.starttls(context=secure)
        server.ehlo()
    elif needed:
        server.close()
        raise smtplib.SMTPNotSupportedError("a password is not told without TLS")
