"""A mail server as far as a sender needs one (RFC 5321): it keeps what it takes, or refuses."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class MailServer(socketserver.ThreadingTCPServer):
    """``taken`` holds the mails, oldest first. ``refusing`` names recipients it will not have."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.taken: list[EmailMessage] = []
        self.refusing: set[str] = set()
        self.arrived = threading.Event()

    @property
    def url(self) -> str:
        """As a setting names it."""
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class _Conversation(socketserver.StreamRequestHandler):
    server: MailServer
    timeout = 20  # Seconds for a line of the other side.

    def handle(self) -> None:
        self._say("220 ready")
        for line in iter(self.rfile.readline, b""):
            word = line[:4].upper().strip()
            if word == b"DATA":
                self._say("354 go on")
                self._take()
            elif word == b"RCPT" and any(one.encode() in line for one in self.server.refusing):
                self._say("550 no such mailbox")
            else:
                self._say("221 bye" if word == b"QUIT" else "250 fine")

    def _take(self) -> None:
        lines = iter(self.rfile.readline, b".\r\n")
        raw = b"".join(line[1:] if line.startswith(b".") else line for line in lines)
        self.server.taken.append(message_from_bytes(raw, policy=policy.default))
        self._say("250 taken")
        self.server.arrived.set()

    def _say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A server that ends with the block."""
    with MailServer() as server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
