"""smtplib's client with a deadline for each reply, connected in steps, so that a failure can say at which."""

import io
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from service.mail_settings import SmtpServer

# Seconds. An email has four replies, so the slowest server takes two minutes for one.
REPLY_TIMEOUT = 30.0
# Bytes. RFC 5321, section 4.5.3.1.5, allows lines of 512; the longest answers to EHLO have some dozens of them.
MAX_REPLY_BYTES = 65_536
# The code that smtplib uses for what is not a reply.
NOT_A_REPLY = -1

_REPLY_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)


class DeadlineSMTP(smtplib.SMTP):
    """Gives each reply a deadline. With smtplib alone a slow reply can take forever: it limits each read only.

    `last_reply` is the last reply that was read. `has_connected` says that there is a connection, and `on_connect`
    gets the seconds that it took.
    """

    deadline_seconds: float | None = None

    def __init__(self, server: SmtpServer, **options: Any) -> None:
        """Create a client that is not connected yet."""
        self.last_reply: tuple[int, bytes] | None = None
        self.has_connected = False
        self.on_connect: Callable[[float], None] = lambda _: None
        super().__init__(local_hostname=server.ehlo_name, timeout=REPLY_TIMEOUT, **options)
        # The name that a certificate must have. The base class knows it only if it connects at once.
        self._host = server.host

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        began = time.monotonic()
        connected = super()._get_socket(host, port, timeout)  # type: ignore[misc]  # missing in the type stubs
        self.has_connected = True
        self.on_connect(time.monotonic() - began)
        return connected

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply, of one or more lines. What is no reply at all has the code `NOT_A_REPLY`.

        Raises:
            SMTPServerDisconnected: the connection ended, or the deadline passed (its cause is then TimeoutError).
        """
        if self.sock is not None and self.file is None:
            self.file = io.BufferedReader(_DeadlineReader(self.sock))
        if self.file is not None:
            self.file.raw.deadline = time.monotonic() + (self.deadline_seconds or REPLY_TIMEOUT)
        self.last_reply = self._read_reply()
        if self.sock is not None:
            # The next command must not inherit the time that was left.
            self.sock.settimeout(REPLY_TIMEOUT)
        return self.last_reply

    def _read_reply(self) -> tuple[int, bytes]:
        lines: list[bytes] = []
        bytes_left = MAX_REPLY_BYTES
        while True:
            line = self._read_line(bytes_left)
            bytes_left -= len(line)
            if not bytes_left:
                break
            match = _REPLY_LINE.fullmatch(line.rstrip(b"\r\n"))
            if match is None:
                return NOT_A_REPLY, line
            lines.append((match[3] or b"").strip())
            if match[2] != b"-":
                return int(match[1]), b"\n".join(lines)
        return NOT_A_REPLY, b"a reply without an end"

    def _read_line(self, limit: int) -> bytes:
        if self.file is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        try:
            line: bytes = self.file.readline(limit)
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected("connection lost") from error
        if not line:
            self.close()
            raise smtplib.SMTPServerDisconnected("connection closed")
        return line


class DeadlineSMTPOverTLS(DeadlineSMTP, smtplib.SMTP_SSL):
    """The same with implicit TLS."""


def create_client(server: SmtpServer, context: ssl.SSLContext | None) -> DeadlineSMTP:
    """Return a client for the server that is not connected yet."""
    if server.tls == "implicit":
        return DeadlineSMTPOverTLS(server, context=context)
    return DeadlineSMTP(server)


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until an instant on the monotonic clock."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        self.deadline = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds_left = self.deadline - time.monotonic()
        if seconds_left <= 0:
            raise TimeoutError
        self._sock.settimeout(seconds_left)
        return self._sock.recv_into(buffer)
