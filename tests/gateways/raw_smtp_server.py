"""An SMTP server on plain sockets that does exactly what a test says, and records what it got in which order.

aiosmtpd is a well-behaved server. This one can close, keep silent or send garbage at any step, and it reads
commands that came in one write as RFC 2920 says: in their order, with a reply to each.
"""

import contextlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from tests.processes import wait_until

# What can happen instead of a reply.
CLOSE, RESET, SILENCE, ENDLESS = "close", "reset", "silence", "endless"
GREETING, CONTENT = "greeting", "content"
# RFC 2920, section 3.1.
LAST_IN_GROUP = ("EHLO", "DATA", "QUIT", "NOOP", "STARTTLS")
DEFAULT_REPLIES = {
    GREETING: "220 raw.test ESMTP",
    "HELO": "250 raw.test",
    "MAIL": "250 2.1.0 OK",
    "RCPT": "250 2.1.5 OK",
    "DATA": "354 Go ahead",
    CONTENT: "250 2.0.0 Accepted",
    "RSET": "250 2.0.0 Reset",
    "NOOP": "250 2.0.0 OK",
    "QUIT": "221 2.0.0 Bye",
}


class RawSmtpServer:
    """Runs in a `with` block.

    `replies` has what replaces the reply to a step: a text, whose lines end with CRLF as SMTP has them, bytes that
    are sent as they are, or `CLOSE`, `RESET`, `SILENCE` or `ENDLESS`, a reply that
    goes on for ever; after a 421, the connection is closed. `replies_once`
    has replies that are used first, each once. `extensions` are offered to EHLO.

    `reply_for` may return the reply to a step for a recipient, which is None before RCPT. Without it, commands out
    of their order get a 503. `violations` has what RFC 2920 forbids: a command behind one that was still to be
    answered, though the server does not offer PIPELINING or the first was DATA. With `loses_pipelined`, what came
    behind a message is lost.

    `on_command` is called with `greeting` and the name of each command before the reply to it.
    `log` has each command, and `content` for a whole message, in their order. `reads` has what each read from the
    socket returned, so that it shows what came in one write. `mails` are the accepted messages.
    """

    def __init__(self, *, extensions: Sequence[str] = (), starttls: ssl.SSLContext | None = None) -> None:
        self.extensions = tuple(extensions)
        self.replies: dict[str, str | bytes] = {}
        self.replies_once: dict[str, list[str | bytes]] = {}
        self.log: list[str] = []
        self.reads: list[bytes] = []
        self.mails: list[bytes] = []
        self.connections = 0
        self.violations: list[str] = []
        self.loses_pipelined = False
        self.reply_for: Callable[[str, str | None], str | bytes | None] = lambda _step, _recipient: None
        self.on_command: Callable[[str], None] = lambda _: None
        self._starttls = starttls
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=none"

    @property
    def steps(self) -> list[str]:
        """The log without arguments."""
        return [entry.split(" ")[0] for entry in self.log]

    def count(self, step: str) -> int:
        return Counter(self.steps)[step]

    def __enter__(self) -> "RawSmtpServer":
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing a listener does not wake the thread that waits in accept.
        with socket.create_connection(("127.0.0.1", self.port)):
            self._listener.close()
        for connection in self._open:
            connection.close()

    def end_connections(self) -> None:
        """End every connection, as a server does that restarts."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def wait_for(self, step: str, *, times: int = 1) -> None:
        wait_until(lambda: self.count(step) >= times, what=f"{step} to be sent")

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve_quietly, args=(connection,), daemon=True).start()

    def _serve_quietly(self, connection: socket.socket) -> None:
        try:
            _Session(self, connection).serve()
        except (OSError, _Closed):
            connection.close()


class _Closed(Exception):
    """The connection ended, by either side."""


class _Session:
    """One connection."""

    def __init__(self, server: RawSmtpServer, connection: socket.socket) -> None:
        self._server = server
        self._socket = connection
        self._buffer = b""
        self._has_sender = False
        self._recipient: str | None = None
        self._content = b""

    def serve(self) -> None:
        self._server.on_command(GREETING)
        self._reply(GREETING)
        while True:
            line = self._read_until(b"\r\n").decode()
            typed, space, argument = line.partition(" ")
            verb = typed.upper()
            self._server.log.append(verb + space + argument)
            self._check_pipelining(verb)
            self._server.on_command(verb)
            self._check_order(verb)
            recipient = argument.removeprefix("TO:<").removesuffix(">") if verb == "RCPT" else self._recipient
            accepted = self._reply(verb, recipient)
            if verb == "MAIL":
                self._has_sender = accepted
            elif verb == "RCPT":
                self._recipient = recipient if accepted else None
            elif verb in ("RSET", "EHLO") and accepted:
                self._has_sender, self._recipient = False, None
            if verb == "QUIT":
                raise _Closed
            if verb == "STARTTLS" and accepted:
                self._begin_tls()
            if verb == "DATA" and accepted:
                content = self._read_until(b"\r\n.\r\n")
                self._server.log.append(CONTENT)
                if self._server.loses_pipelined:
                    self._buffer = b""
                recipient, self._recipient, self._has_sender = self._recipient, None, False
                self._server.on_command(CONTENT)
                self._content = content.replace(b"\r\n..", b"\r\n.") + b"\r\n"
                self._reply(CONTENT, recipient)

    def _check_pipelining(self, verb: str) -> None:
        if self._buffer and ("PIPELINING" not in self._server.extensions or verb in LAST_IN_GROUP):
            self._server.violations.append(f"{self._buffer[:20]!r} behind {verb}")

    def _check_order(self, verb: str) -> None:
        """Record what came while `on_command` had the server busy, if a reply had to be awaited."""
        if "PIPELINING" in self._server.extensions or isinstance(self._socket, ssl.SSLSocket):
            return
        with contextlib.suppress(BlockingIOError, ConnectionError):
            early = self._socket.recv(20, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            if early:
                self._server.violations.append(f"{early!r} before the reply to {verb}")

    def _begin_tls(self) -> None:
        """Encrypt the connection; without a context, go on in plain text where TLS should begin."""
        if self._server._starttls is None:
            self._socket.recv(65_536)
            self._socket.sendall(b"500 5.5.1 What?\r\n")
            raise _Closed
        self._socket = self._server._starttls.wrap_socket(self._socket, server_side=True)

    def _read_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            chunk = self._socket.recv(65_536)
            if not chunk:
                raise _Closed
            self._server.reads.append(chunk)
            self._buffer += chunk
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _reply(self, step: str, recipient: str | None = None) -> bool:
        """Reply to a step; return whether the reply was positive."""
        once = self._server.replies_once.get(step)
        reply = once.pop(0) if once else self._server.replies.get(step, self._default_reply(step))
        reply = self._out_of_order(step) or self._server.reply_for(step, recipient) or reply
        if reply == CLOSE:
            raise _Closed
        if reply == RESET:
            # A socket that lingers for no time is reset.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raise _Closed
        if reply == SILENCE:
            return False
        while reply == ENDLESS:
            self._socket.sendall(b"250-2.0.0 Wait\r\n")
            threading.Event().wait(0.1)
        raw = reply if isinstance(reply, bytes) else reply.replace("\n", "\r\n").encode() + b"\r\n"
        if step == CONTENT and raw.startswith(b"2"):
            # Recorded before the reply leaves, for which the test may wait.
            self._server.mails.append(self._content)
        self._socket.sendall(raw)
        if raw.startswith(b"421"):
            raise _Closed
        return raw[:1] in b"23"

    def _out_of_order(self, step: str) -> str | None:
        if (
            (step == "MAIL" and self._has_sender)
            or (step == "RCPT" and not self._has_sender)
            or (step == "DATA" and self._recipient is None)
        ):
            return "503 5.5.1 Bad sequence of commands"
        return None

    def _default_reply(self, step: str) -> str:
        if step == "EHLO":
            lines = ["raw.test", *self._server.extensions]
            return "\n".join(f"250{' ' if line is lines[-1] else '-'}{line}" for line in lines)
        if step == "STARTTLS" and self._server._starttls is not None:
            return "220 2.0.0 Ready"
        return DEFAULT_REPLIES.get(step, "502 5.5.2 Unknown command")
